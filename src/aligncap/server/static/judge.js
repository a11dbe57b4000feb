import { by, theme } from "./elements.js";

const KEYS = { 1: "left", 2: "right", 3: "tie", 4: "both_wrong" };
const RETRY = 2000; // milliseconds

let rater = "";
let questions = []; // {key, choice} in this rater's order
let place = 0;
let shownAt = 0;
let saving = false;
let sound = null;
const buttons = [...document.querySelectorAll("[data-choice]")];

const say = (text) => (by("status").textContent = text);
const complain = (text) => (by("error").textContent = text);
const wait = (time) => new Promise((done) => setTimeout(done, time));

/** The answer to a request; a server that is away for a while is waited for, one that refuses is not. */
async function ask(path, options = {}) {
  for (;;) {
    let answer = null;
    try {
      answer = await fetch(path, options);
    } catch { /* not reached */ }
    if (answer && answer.ok) {
      complain("");
      return answer;
    }
    if (answer && answer.status < 500) throw new Error((await answer.json()).error.message);
    const reason = answer ? (await answer.json().catch(() => null))?.error.message : "the server cannot be reached";
    complain(`Not done yet: ${reason || answer.status}. It is tried again until it is; keep this page open.`);
    await wait(RETRY);
  }
}

async function enter(event) {
  event.preventDefault();
  try {
    const answer = await ask(`/api/session?${new URLSearchParams({ rater: by("name").value })}`);
    ({ rater, questions } = await answer.json());
  } catch (error) {
    return complain(error.message);
  }
  by("who").hidden = true;
  const first = questions.findIndex((question) => question.choice === null);
  if (first > 0) say(`Welcome back: ${questions.filter((question) => question.choice !== null).length} are answered already.`);
  await show(first < 0 ? questions.length : first);
}

async function show(index) {
  place = index;
  const over = index >= questions.length;
  by("ask").hidden = over;
  by("end").hidden = !over;
  const answered = questions.filter((question) => question.choice !== null).length;
  by("progress").max = questions.length || 1;
  by("progress").value = answered;
  by("count").textContent = `${answered} of ${questions.length} answered`;
  if (over) {
    by("player").pause();
    return by("end-title").focus();
  }
  allow(false);
  const { key, choice } = questions[index];
  const [asked, heard] = await Promise.all([
    ask(`/api/questions/${key}?${new URLSearchParams({ rater })}`).then((answer) => answer.json()),
    ask(`/api/audio/${key}`).then((answer) => answer.blob())]);
  by("ask-title").textContent = `Question ${index + 1}`;
  by("instruction").textContent = `The captions answer: ${asked.instruction}`;
  by("left").textContent = asked.left;
  by("right").textContent = asked.right;
  for (const button of buttons) button.setAttribute("aria-pressed", button.dataset.choice === choice);
  if (sound) URL.revokeObjectURL(sound);
  sound = URL.createObjectURL(heard);
  by("player").src = sound;
  shownAt = performance.now();
  by("ask-title").focus();
  if (choice !== null) allow(true);
  play();
}

/** Choices wait for the clip to be heard. */
function allow(on) {
  for (const button of buttons) button.disabled = !on;
}

function play() {
  by("player").currentTime = 0;
  by("player").play().catch(() => say("Press Space to play the clip."));
}

async function choose(choice) {
  if (saving || buttons[0].disabled || by("ask").hidden) return;
  saving = true;
  allow(false);
  const { key } = questions[place];
  const body = JSON.stringify({ rater, key, choice, seconds: (performance.now() - shownAt) / 1000 });
  try {
    await ask("/api/votes", { method: "POST", headers: { "Content-Type": "application/json" }, body });
    questions[place].choice = choice;
    say("Saved.");
    const next = questions.findIndex((question, index) => index > place && question.choice === null);
    const any = questions.findIndex((question) => question.choice === null);
    await show(next >= 0 ? next : any >= 0 ? any : questions.length);
  } catch (error) {
    complain(error.message);
    allow(true);
  } finally {
    saving = false;
  }
}

function back() {
  if (!saving && place > 0) show(Math.min(place, questions.length) - 1);
}

function pressed(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.matches("input, select") || by("ask").hidden === by("end").hidden) return;
  if (KEYS[event.key]) choose(KEYS[event.key]);
  else if (event.key.toLowerCase() === "b") back();
  else if (event.key === " " && !event.target.matches("button, audio")) play();
  else return;
  event.preventDefault();
}

theme(by("theme"));
by("enter").addEventListener("submit", enter);
by("again").addEventListener("click", play);
by("back").addEventListener("click", back);
by("review").addEventListener("click", back);
by("player").addEventListener("ended", () => allow(true));
for (const button of buttons) button.addEventListener("click", () => choose(button.dataset.choice));
document.addEventListener("keydown", pressed);
