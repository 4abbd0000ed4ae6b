// What the page does beside htmx: selection that survives a new matrix, keys in the grid, seconds that count.
const all = (query, within = document) => [...within.querySelectorAll(query)];
const cells = () => all('#matrix input[name="cell"]');
const KEPT = "chosen cells";
const MOST_CARDS = 12;

function count() {
  if (!document.querySelector("#matrix")) return; // what is chosen waits while other pages are looked at
  const chosen = cells().filter((cell) => cell.checked);
  for (const box of all('#matrix input:is([name="group"], [name="target"])')) {
    const own = cellsOf(box);
    box.checked = own.length > 0 && own.every((cell) => cell.checked);
    box.indeterminate = !box.checked && own.some((cell) => cell.checked);
  }
  const output = document.querySelector("#chosen");
  if (output) output.textContent = chosen.length ? `${chosen.length} selected` : "nothing selected";
  sessionStorage.setItem(KEPT, JSON.stringify(chosen.map((cell) => cell.value)));
}

function cellsOf(box) {
  if (box.name === "group") return all('input[name="cell"]', box.closest("tbody"));
  return cells().filter((cell) => cell.value.startsWith(`${box.value}/`));
}

function restore() {
  const kept = new Set(JSON.parse(sessionStorage.getItem(KEPT) ?? "[]"));
  for (const cell of cells()) cell.checked = kept.has(cell.value);
  count();
}

document.addEventListener("change", ({ target }) => {
  if (!target.closest("#matrix")) return;
  if (target.name !== "cell") for (const cell of cellsOf(target)) cell.checked = target.checked;
  count();
});

// a part that comes anew keeps the focus, what is open, and where it was scrolled to; a log stays at its end until somebody scrolls back
const isAtEnd = (log) => log.scrollTop + log.clientHeight > log.scrollHeight - 40;
const toEnd = (log) => { log.scrollTop = log.scrollHeight; };
const placeOf = (one) => [one.id, one.matches("pre") && isAtEnd(one) ? [0, 1e9] : [one.scrollLeft, one.scrollTop]];
let before = null;

function keep(part) {
  const focused = part.contains(document.activeElement) ? document.activeElement : null;
  const link = focused?.getAttribute("href");
  const label = focused?.getAttribute("aria-label");
  before = {
    part: part.id,
    focus: link ? `a[href="${link}"]` : focused?.value ? `[name="${focused.name}"][value="${focused.value}"]` : label && `[aria-label="${label}"]`,
    open: new Map(all("details[id]", part).map((one) => [one.id, one.open])),
    places: new Map(all(".scroll, pre[id]", part).map(placeOf)),
  };
}

document.addEventListener("htmx:beforeSwap", ({ detail }) => keep(detail.target));
document.addEventListener("htmx:afterSwap", () => {
  if (!before) return; // a line of a log
  for (const [id, isOpen] of before.open) {
    const one = document.getElementById(id);
    if (one) one.open = isOpen;
  }
  for (const log of before.part ? all(`#${before.part} pre[id]`) : []) toEnd(log);
  for (const [id, place] of before.places) document.getElementById(id)?.scrollTo(...place);
  if (before.focus) document.querySelector(`#main ${before.focus}`)?.focus({ preventScroll: true });
  for (const old of all("#cards > .card").slice(MOST_CARDS)) {
    old.remove();
    document.querySelector("#work .earlier").hidden = false;
  }
  before = null;
  restore();
});
document.addEventListener("htmx:beforeRequest", ({ detail }) => {
  if (detail.requestConfig.verb === "post") document.querySelector("#refusal").replaceChildren();
});
document.addEventListener("htmx:afterSettle", ({ target }) => {
  if (target.id === "details") target.scrollIntoView({ block: "nearest" }); // on a phone it is below the matrix
});

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.matches('input:not([type="checkbox"]), textarea, select');
  if (event.altKey || event.ctrlKey || event.metaKey || isTyping || !document.querySelector("#matrix")) return;
  if (event.key === "r") document.querySelector("#rebuild .main").click();
  if (event.key === "Escape") {
    for (const cell of cells()) cell.checked = false;
    document.querySelector("#details").replaceChildren();
    count();
  }
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  if (!step || !event.target.closest("#matrix td")) {
    if (event.key === "Enter" && event.target.type === "checkbox") event.preventDefault(); // it would send the form
    return;
  }
  event.preventDefault();
  const rows = all("#matrix tr:has(td)");
  const row = rows.indexOf(event.target.closest("tr"));
  const column = all("td", rows[row]).indexOf(event.target.closest("td"));
  const next = all("td", rows[row + step[0]] ?? document.createElement("tr"))[column + step[1]];
  next?.querySelector("input")?.focus();
});
document.addEventListener("keyup", (event) => {
  if (event.key === "Enter" && event.target.name === "cell") event.target.closest("td").querySelector("a").click();
});

document.addEventListener("click", ({ target }) => {
  const log = target.closest("summary")?.parentElement.querySelector("pre[id]");
  if (log) requestAnimationFrame(() => toEnd(log));
});

setInterval(() => {
  for (const one of all("[data-seconds]")) one.textContent = String(++one.dataset.seconds);
}, 1000);

document.addEventListener("htmx:sseBeforeMessage", ({ detail }) => {
  const log = detail.elt.closest("pre");
  if (!log) keep(detail.elt);
  else if (isAtEnd(log)) requestAnimationFrame(() => toEnd(log));
});
const lost = (isLost) => { const one = document.querySelector("#connection"); if (one) one.hidden = !isLost; };
document.addEventListener("htmx:sseError", () => lost(true));
document.addEventListener("htmx:sseOpen", () => lost(false));

// a browser opens few connections to a server: a tab that nobody sees keeps none, and comes anew when it is seen
let source = null;
htmx.createEventSource = (url) => (source = new EventSource(url, { withCredentials: true }));
let isAsleep = false;
setInterval(() => {
  if (document.hidden && source && !isAsleep) isAsleep = !source.close();
}, 20_000);
document.addEventListener("visibilitychange", () => { if (!document.hidden && isAsleep) location.reload(); });

restore();
for (const log of all("pre[id]")) toEnd(log);
