// Elements of the page, and the one line in which it says what happened.

export const $ = (id) => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** What the user can do something about, as one line; `code` is the server's, 0 where it did not answer. */
export class Refusal extends Error {
  constructor(message, code) {
    super(message);
    this.code = code;
  }
}

export function say(text, isNote = false) {
  $("message").textContent = text;
  $("message").classList.toggle("is-note", isNote);
}

/** Runs what a control asks for; returns whether it was done, and shows in one line why not. */
export async function attempt(work) {
  try {
    say("");
    await work();
    return true;
  } catch (error) {
    say(error.message);
    if (!(error instanceof Refusal)) console.error(error);
    return false;
  }
}
