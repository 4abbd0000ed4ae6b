// The page of `morphstream live`: its controls, and what it shows of the stream.

import { Connection, openCamera } from "./connection.js";
import { $, Refusal, attempt, make, say } from "./dom.js";
import { showLook } from "./look.js";
import { addPerson, ask, askSession, change, choice, leave, people, removePerson } from "./session.js";

const NUMBERS = {
  delay: "Delay, about", fps: "Frames a second", dropped: "Dropped", latency: "Swap, 50 / 95 %",
  engines: "Engines", host: "Host", find: "Faces found in", network: "Network, buffer",
};

let server = null; // what GET /api/state says
let connection = null;
let camera = null;
let isOn = false;
let told = ""; // the last error and switch that were said

// ---- start, stop, pause

async function start() {
  isOn = true;
  showRunning();
  const isServers = $("input").value === "server";
  const isOpen = isServers || (await attempt(useCamera));
  if (isOpen && isOn) await connection.open(isServers ? null : camera.getVideoTracks()[0], { isPaused: choice.is_paused });
  else stop();
}

function stop(state = "off") {
  isOn = false;
  connection.close();
  $("output").srcObject = null;
  show(null);
  showRunning();
  showFaces([]);
  $("state").textContent = state;
}

function show(opened) {
  camera?.getTracks().forEach((track) => track.stop());
  camera = $("camera").srcObject = opened;
}

async function useCamera() {
  show(await openCamera($("input").value, server.size));
  camera.getVideoTracks()[0].onended = () => {
    stop();
    say("The camera is gone. Connect it, and press Start.");
  };
  await listCameras();
}

async function pause() {
  await change({ is_paused: !choice.is_paused });
  await connection.pause(choice.is_paused);
  showRunning();
}

function showRunning() {
  $("start").textContent = isOn ? "Stop" : "Start";
  $("pause").disabled = !isOn;
  $("pause").textContent = choice.is_paused ? "Resume" : "Pause";
  $("input").disabled = isOn;
}

function showInput() {
  const isServers = $("input").value === "server";
  $("camera-figure").hidden = isServers;
  document.querySelector(".pictures").classList.toggle("is-single", isServers);
}

async function listCameras() {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  const used = camera?.getVideoTracks()[0].getSettings().deviceId ?? $("input").value;
  const options = devices
    .filter(({ kind, deviceId }) => kind === "videoinput" && deviceId) // without an id until a camera was allowed
    .map(({ deviceId, label }) => make("option", { value: deviceId, textContent: label }));
  if (!options.length) options.push(make("option", { value: "", textContent: "This browser's camera" }));
  if (server.has_input) options.unshift(make("option", { value: "server", textContent: "The server's input" }));
  $("input").replaceChildren(...options);
  if (used && options.some(({ value }) => value === used)) $("input").value = used;
}

// ---- what the server says of the stream, four times a second

const number = (value, digits = 0) => (value == null ? "–" : value.toFixed(digits));

function showStatus(status, { isAgain }) {
  if (isAgain) say("");
  $("state").textContent = status.state;
  const { p50, p95 } = status.latency_ms;
  // The server has a frame only when the next one of the camera comes.
  const interval = camera ? 1000 / (camera.getVideoTracks()[0].getSettings().frameRate || 30) : 0;
  const delay = p50 == null ? null : p50 + interval + connection.network + connection.buffer;
  const texts = {
    delay: `${number(delay)} ms`, fps: number(status.fps, 1), dropped: number(status.dropped),
    latency: `${number(p50)} / ${number(p95)} ms`, engines: `${number(status.engine_ms, 1)} ms`,
    host: `${number(status.host_ms, 1)} ms`, find: `${number(status.find_ms, 1)} ms`,
    network: `${number(connection.network)} + ${number(connection.buffer)} ms`,
  };
  for (const [id, text] of Object.entries(texts)) $(`number-${id}`).textContent = text;
  showFaces(status.faces);
  showSwitch(status);
  if (status.state === "failed") {
    leave(); // so that Start begins a new stream
    stop("failed");
  }
}

/** Lays a button over each face; one that stays keeps its focus. */
function showFaces(faces) {
  const seen = new Map(faces.map((face) => [`face-${face.track}`, face]));
  for (const old of [...$("faces").children]) if (!seen.has(old.id)) old.remove();
  const { videoWidth, videoHeight, clientWidth, clientHeight } = $("output");
  const scale = videoWidth ? Math.min(clientWidth / videoWidth, clientHeight / videoHeight) : 0; // as object-fit: contain
  const [width, height] = [videoWidth * scale, videoHeight * scale];
  const place = { width, height, left: (clientWidth - width) / 2, top: (clientHeight - height) / 2 };
  for (const [side, pixels] of Object.entries(place)) $("faces").style[side] = `${pixels}px`;
  for (const [id, { track, box, person }] of seen) {
    const name = [...people.values()].find((one) => one.id === person)?.name ?? "as it is";
    let button = $(id);
    if (!button) {
      button = make("button", { id, type: "button", onclick: () => chooseFor(track) }, make("span"));
      $("faces").append(button);
    }
    button.firstChild.textContent = name;
    button.ariaLabel = `Face ${track}: ${name}. Choose who it becomes`;
    ["left", "top", "width", "height"].forEach((side, index) => (button.style[side] = `${100 * box[index]}%`));
  }
}

/** Shows how far a switch to another model is, and says once how it, or the stream, failed. */
function showSwitch({ switch: begun, swap_model, error }) {
  const isBusy = ["waiting", "fetching", "opening"].includes(begun?.state);
  const { model, state, done_bytes: done, total_bytes: total } = begun ?? {};
  const part = state === "fetching" && total ? `: ${(done / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB` : "";
  $("switch").classList.toggle("is-idle", !isBusy);
  if (isBusy && total) $("progress").value = done / total;
  else $("progress").removeAttribute("value");
  $("switch-text").textContent = isBusy ? `${state} ${model}${part}; until then ${swap_model} goes on` : `${swap_model} is in use`;
  const news = [error, begun && !isBusy && `${model} ${state}`].filter(Boolean).join();
  if (news !== told && news) {
    if (error || begun?.error) say(error ?? begun.error);
    if (state === "done") server.swap_models.find(({ name }) => name === model).is_installed = true;
    showModels(swap_model);
  }
  told = news;
}

function showModels(current) {
  const options = server.swap_models.map(({ name, is_installed }) => {
    const textContent = is_installed ? name : `${name} (is fetched first)`;
    return make("option", { value: name, textContent, selected: name === current });
  });
  $("model").replaceChildren(...options);
}

// ---- people

async function add(picture, name) {
  if (!$("agreed").checked) throw new Refusal("Tick the box first: the person in the picture has to agree.");
  const key = crypto.randomUUID?.() ?? String(performance.now()); // by plain http there is no randomUUID
  const person = { name: $("name").value.trim() || name, picture, thumb: await thumbOf(picture) };
  const note = await addPerson(key, person);
  $("agreed").checked = false; // the next person agrees for themself
  $("name").value = "";
  showAgreed();
  if (people.size === 1) await change({ everyone: key });
  showPeople();
  say(note || `${person.name} was added.`, true);
}

const addFile = (file) => file && attempt(() => add(file, file.name.replace(/\.\w+$/, "").slice(0, 40)));

async function thumbOf(picture) {
  const canvas = make("canvas", { width: 80, height: 80 });
  const bitmap = await createImageBitmap(picture).catch(() => null); // the server reads more formats than browsers do
  if (!bitmap) return canvas;
  const side = Math.min(bitmap.width, bitmap.height);
  const middle = [(bitmap.width - side) / 2, (bitmap.height - side) / 2, side, side];
  canvas.getContext("2d").drawImage(bitmap, ...middle, 0, 0, 80, 80);
  bitmap.close();
  return canvas;
}

function showPeople() {
  const rows = [...people].map(([key, { name, thumb }]) => {
    const radio = make("input", { type: "radio", name: "everyone", value: key, checked: choice.everyone === key });
    const label = make("label", { className: "person" }, radio, thumb, make("span", { className: "grow", textContent: name }));
    const onclick = () => attempt(() => removePerson(key)).then(() => (showPeople(), $("agreed").focus()));
    return make("div", {}, label, make("button", { type: "button", textContent: "Remove", ariaLabel: `Remove ${name}`, onclick }));
  });
  $("people").replaceChildren(...rows);
  $("nobody").checked = choice.everyone == null;
}

function showAgreed() {
  $("file").disabled = $("snap").disabled = !$("agreed").checked;
}

/** Asks in a dialog; returns the value of the button that closed it, or "" for none. */
async function askIn(dialog) {
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((done) => (dialog.onclose = done));
  return dialog.returnValue;
}

async function chooseFor(track) {
  $("face-title").textContent = `Face ${track} becomes`;
  const rows = [...people.values()].map(({ id, name }) => make("button", { value: id, textContent: name }));
  $("face-people").replaceChildren(...rows, make("button", { value: "null", textContent: "the same as everyone" }));
  const answer = await askIn($("face-menu"));
  if (answer) await attempt(() => askSession("PATCH", "", { faces: { [track]: JSON.parse(answer) } }));
}

/** Takes the source picture from the camera. */
async function snap() {
  const own = camera ? null : await openCamera($("input").value === "server" ? "" : $("input").value, server.size);
  const video = $("snap-video");
  try {
    video.srcObject = own ?? camera;
    if (!(await askIn($("snap-menu")))) return;
    const canvas = make("canvas", { width: video.videoWidth, height: video.videoHeight });
    if (!canvas.width) throw new Refusal("The camera has not shown anything yet. Try again.");
    canvas.getContext("2d").drawImage(video, 0, 0);
    await add(await new Promise((done) => canvas.toBlob(done)), `person ${people.size + 1}`);
  } finally {
    video.srcObject = null;
    own?.getTracks().forEach((track) => track.stop());
  }
}

// ---- once

async function begin() {
  server = await ask("GET", "/api/state");
  connection = new Connection({
    iceServers: server.ice_servers,
    offer: (description) => askSession("POST", "/offer", description),
    onState: (text) => ($("state").textContent = text),
    onStatus: showStatus,
    onPicture: (stream) => ($("output").srcObject = stream),
    onError: (error) => {
      if (error.code && error.code < 500) stop();
      say(error.message);
    },
  });
  const mark = server.visible_mark ? "; a mark in the picture says that it is synthetic" : "";
  $("version").textContent = `morphstream ${server.version}${mark}`;
  document.querySelectorAll(".view").forEach((view) => (view.style.aspectRatio = server.size.join(" / ")));
  for (const { person, name } of server.people) people.set(String(person), { name, id: person, thumb: "" });
  choice.everyone = server.everyone && String(server.everyone);
  showPeople();
  showModels(server.swap_model);
  showLook(server);
  await listCameras();
  showInput();
  $("start").disabled = false;
}

for (const [id, word] of Object.entries(NUMBERS)) {
  const value = make("dd", { id: `number-${id}`, textContent: "–" });
  $("numbers").append(make("div", {}, make("dt", { textContent: word }), value));
}
$("start").onclick = () => (isOn ? stop() : start());
$("pause").onclick = () => attempt(pause);
$("input").onchange = showInput;
$("agreed").onchange = showAgreed;
$("snap").onclick = () => attempt(snap);
$("file").onchange = ({ target }) => {
  const [file] = target.files;
  target.value = ""; // so that the same file can be chosen again
  addFile(file);
};
$("everyone").onchange = ({ target }) => attempt(() => change({ everyone: target.value || null })).then(showPeople);
$("model").onchange = async ({ target }) => {
  if (!(await attempt(() => change({ swap_model: target.value })))) showModels(choice.swap_model ?? server.swap_model);
};
document.ondragover = (event) => {
  event.preventDefault(); // else a file that misses the box opens in the page's place
  $("drop").classList.toggle("is-over", $("drop").contains(event.target));
};
document.ondrop = (event) => {
  event.preventDefault();
  $("drop").classList.remove("is-over");
  addFile(event.dataTransfer.files[0]);
};
addEventListener("pagehide", () => {
  leave();
  if (connection) stop();
});
attempt(begin);
