// Sends the file of a form as the body of a request, as it is, and shows the answer; the server reads no other kind.
document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("send-file"), answer = document.getElementById("send-file-answer");
  if (!form) return;
  form.querySelector("button").disabled = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const fields = new FormData(form), button = form.querySelector("button");
    const query = new URLSearchParams({ name: fields.get("name"), like: fields.get("like") });
    button.disabled = true;
    answer.textContent = "Sending…";
    try {
      const response = await fetch(`${form.action}?${query}`, {
        method: "POST",
        headers: { "X-CSRF-Token": fields.get("csrf"), "HX-Request": "true", "Content-Type": "application/octet-stream" },
        body: fields.get("file"),
      });
      const text = await response.text();
      if (response.ok) answer.textContent = "Sent; how adding it goes is below.";
      else answer.innerHTML = text;
    } catch {
      answer.textContent = "The file wasn't sent: the page's server doesn't answer. Send it again.";
    }
    button.disabled = false;
  });
});
