// The server's memory of this page, which it forgets when the connection is lost for long, or when it is started again.
//
// `people` and `choice` are the page's own: a new session gets the same pictures and the same choices.

import { Refusal, say } from "./dom.js";

const ALIVE_MS = 5000, ANSWER_MS = 20000;

export const people = new Map(); // by a key of ours: {name, picture (none of the server's own), thumb, id: its number}
export const choice = { everyone: null, is_paused: false }; // what PATCH takes; everyone is a key of `people`

let session = null; // a promise of its path

/** Asks the server; returns its JSON. */
export async function ask(method, path, body) {
  const isJson = body !== undefined && !(body instanceof Blob);
  const request = { method, body: isJson ? JSON.stringify(body) : body, signal: AbortSignal.timeout(ANSWER_MS) };
  if (isJson) request.headers = { "Content-Type": "application/json" };
  let answer;
  try {
    answer = await fetch(path, request);
  } catch {
    throw new Refusal("The server does not answer. Is morphstream live still running?", 0);
  }
  if (answer.status === 401) {
    throw new Refusal("This page is not allowed in any more. Open the link that morphstream live printed.", 401);
  }
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refusal(said.error ?? `The server refused it: ${answer.status}.`, answer.status);
  return said;
}

/** Asks under the session's path; a session that there isn't, or that the server has forgotten, is made first. */
export async function askSession(method, path, body) {
  const seen = await open();
  try {
    return await ask(method, seen + path, body);
  } catch (error) {
    if (error.code !== 404) throw error;
    session = null;
    return ask(method, (await open()) + path, body);
  }
}

/** Sends choices, and remembers them once the server has taken them. */
export async function change(changes) {
  await askSession("PATCH", "", asPatch(changes));
  Object.assign(choice, changes, changes.look && { look: { ...choice.look, ...changes.look } });
}

/** Uploads a person's picture, who has agreed; returns what the server has to note. */
export async function addPerson(key, person) {
  const { note } = await upload(askSession, "", person);
  people.set(key, person);
  return note;
}

export async function removePerson(key) {
  await askSession("DELETE", `/people/${people.get(key).id}`);
  people.delete(key);
  if (choice.everyone === key) await change({ everyone: null });
}

/** Tells the server that this page goes. */
export function leave() {
  session?.then((path) => navigator.sendBeacon(`${path}/close`), () => {});
  session = null;
}

function open() {
  if (session) return session;
  const mine = (session = begin());
  mine.catch(() => mine === session && (session = null));
  return mine;
}

async function begin() {
  const path = `/api/sessions/${(await ask("POST", "/api/sessions")).id}`;
  for (const [key, person] of people) {
    if (person.picture) await upload(ask, path, person).catch(drop(() => people.delete(key)));
  }
  for (const [key, value] of Object.entries(choice)) {
    await ask("PATCH", path, asPatch({ [key]: value })).catch(drop(() => delete choice[key]));
  }
  return path;
}

async function upload(asking, path, person) {
  const query = new URLSearchParams({ name: person.name, agreed: 1 });
  const answer = await asking("POST", `${path}/people?${query}`, person.picture);
  person.id = answer.person;
  person.name = answer.name ?? person.name;
  return answer;
}

const asPatch = (changes) =>
  "everyone" in changes ? { ...changes, everyone: people.get(changes.everyone)?.id ?? null } : changes;

/** Drops what a new session refuses, so that the rest goes on. */
const drop = (forget) => (error) => {
  if (error.code !== 409 && error.code !== 422) throw error;
  forget();
  say(error.message);
};

setInterval(() => {
  const mine = session;
  const forget = ({ code }) => code === 404 && mine === session && (session = null);
  mine?.then((path) => ask("POST", `${path}/alive`)).catch(forget);
}, ALIVE_MS);
