"use strict";

/* The page of a load run: shows what the run tells each second, and asks it for changes. All text
   is set as text, never as HTML: some of it comes from the far end. */

const POINTS = 1800;
const find = (id) => document.getElementById(id);
const points = [];
let limits = null;
let over = false;

let charts = [];

/* The run says which charts there are: its report has the same. */
function makeCharts(given) {
  charts = given.map((each) => new Chart(each));
  find("charts").replaceChildren(...charts.map((chart) => chart.figure));
}

/* A run without calls counts other things, and keeps no ladders. */
function speakOfOperations() {
  for (const each of document.querySelectorAll("[data-without-calls]")) each.textContent = each.dataset.withoutCalls;
  document.body.classList.add("without-calls");
}

function made(name, text, className) {
  const one = document.createElement(name);
  if (text !== undefined) one.textContent = text;
  if (className) one.className = className;
  return one;
}

/* Replace the rows of a table; a cell is a text, or a pair of a text and a class. */
function rows(body, cells) {
  body.replaceChildren(...cells.map((row) => {
    const line = made("tr");
    line.append(...row.map((cell) => (Array.isArray(cell) ? made("td", cell[0], cell[1]) : made("td", cell))));
    return line;
  }));
}

const text = (value) => (value === null || value === undefined ? "-" : value.toLocaleString("en"));

function showVerdicts(verdicts, finished) {
  find("verdicts").hidden = !verdicts.length;
  find("verdicts-title").textContent = finished ? "Verdicts" : "Verdicts so far";
  rows(find("verdicts").querySelector("tbody"), verdicts.map((each) => {
    const word = !each.judged ? "not judged (too few)" : each.met ? "met" : "not met";
    return [each.expected, [word, !each.judged ? "note" : each.met ? "good" : "bad"], each.measured];
  }));
}

function callItems(failed) {
  return failed.map((each) => {
    const button = made("button", `${each.at} s: ${each.cause}`);
    button.type = "button";
    button.addEventListener("click", () => showLadder(each.id));
    const item = made("li");
    item.append(button);
    return item;
  });
}

/* The list above has the newest of each cause; this one has all that are kept, from the newest on. */
async function showOlder() {
  const list = find("older");
  const answer = await fetch(`older?before=${list.dataset.before ?? 999999999}`);
  if (!answer.ok) {
    find("told").textContent = await answer.text();
    return;
  }
  const calls = await answer.json();
  list.append(...callItems(calls));
  if (calls.length) list.dataset.before = calls.at(-1).id;
  else find("told").textContent = "no older failed call is kept";
}

function showKept([kept, failed]) {
  const note = find("kept");
  note.hidden = find("show-older").hidden = !kept;
  const whole = Math.max(kept, failed);
  note.textContent = kept === whole ? `all ${kept} are kept` : `${kept} of ${whole} are kept`;
}

function showFailed(failed) {
  document.querySelector('[data-none="failed"]').hidden = failed.length > 0;
  const list = find("failed");
  const known = failed.map((each) => each.id).join();
  if (list.dataset.known === known) return; // else a button would lose the focus each second
  list.dataset.known = known;
  list.replaceChildren(...callItems(failed));
}

async function showLadder(id) {
  const answer = await fetch(`failed?id=${id}`);
  if (!answer.ok) {
    find("told").textContent = await answer.text();
    return;
  }
  const call = await answer.json();
  find("ladder-title").textContent = `${call.cause}, ${call.at.toFixed(1)} s, worker ${call.worker + 1}`;
  find("ladder-text").textContent = call.ladder;
  find("ladder-messages").textContent = call.messages;
  find("ladder").showModal();
}

function showPhase(now) {
  const [done, whole] = now.registered;
  const words = {
    registering: `registering ${done} of ${whole} users`,
    running: now.load.stopped ? "stopping" : `running, ${Math.floor(now.at)} s`,
    over: `over after ${Math.floor(now.at)} s`,
  };
  find("phase").textContent = [now.trial, words[now.phase]].filter(Boolean).join(": ");
}

function showTrials(trials) {
  find("trials").hidden = !trials.length;
  rows(find("trials").querySelector("tbody"), trials.map((each) => [
    text(each.calls),
    [each.held ? "held" : each.valid ? "not held" : "invalid", each.held ? "good" : "bad"],
    each.held ? "" : each.why,
  ]));
}

function showOutcome(outcome) {
  const box = find("outcome");
  box.hidden = !outcome;
  if (!outcome) return;
  box.className = `box ${outcome.valid && outcome.met ? "good" : "bad"}`;
  box.textContent = outcome.sentence;
}

function show(now) {
  if (now.point && (!points.length || points.at(-1).at !== now.point.at)) points.push(now.point);
  while (points.length > POINTS) points.shift();
  const failures = now.causes.slice(0, limits.drawn_causes).map(([cause]) => [(point) => point.causes[cause] ?? 0, cause]);
  for (const chart of charts) chart.show(points, failures);
  over = now.phase === "over";
  showPhase(now);
  showOutcome(now.outcome);
  const invalid = find("invalid");
  invalid.hidden = !now.invalid.length;
  invalid.querySelector("ul").replaceChildren(...now.invalid.map((why) => made("li", why)));
  showVerdicts(now.verdicts, over);
  showTrials(now.trials);
  rows(find("figures").querySelector("tbody"), now.figures);
  document.querySelector('[data-none="causes"]').hidden = now.causes.length > 0;
  rows(find("causes").querySelector("tbody"), now.causes.map(([cause, count]) => [text(count), cause]));
  showFailed(now.failed);
  showKept(now.failed_kept);
  rows(find("workers").querySelector("tbody"), now.workers.map((each) => [
    each.lost ? [`${each.number}: lost, ${each.lost}`, "bad"] : String(each.number), text(each.up), text(each.answered),
    text(each.attempted), text(each.failed), text(each.mos5), text(each.cpu), text(each.late99),
  ]));
  find("changes").replaceChildren(...now.changes.map((change) => made("li", change)));
  for (const each of find("change").elements) each.disabled = now.phase !== "running" || now.load.stopped;
  if (!limits.adjustable) for (const each of find("change").elements) each.disabled ||= each.id !== "stop";
  fill("rate", now.load.rate);
  fill("calls", now.load.calls);
}

/* Show what holds now, unless the user is typing. */
function fill(id, value) {
  const input = find(id);
  const before = input.dataset.held;
  if (document.activeElement !== input && (before === undefined || input.value === before)) {
    input.value = value ?? "";
  }
  input.dataset.held = value ?? "";
}

async function ask(path, body) {
  find("told").textContent = "";
  const answer = await fetch(path, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  }).catch(() => null);
  if (!answer) find("told").textContent = "the run does not answer: it may be over";
  else if (!answer.ok) find("told").textContent = await answer.text();
  return answer !== null && answer.ok;
}

find("change").addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = {};
  for (const id of ["rate", "calls"]) {
    const input = find(id);
    if (input.value !== "" && input.value !== input.dataset.held) body[id] = Number(input.value);
  }
  if (await ask("change", body)) document.activeElement.blur();
});

find("show-older").addEventListener("click", showOlder);
find("stop").addEventListener("click", () => {
  if (window.confirm("Stop the run now? It is judged by what was counted so far.")) ask("stop", {});
});

const events = new EventSource("events");
events.addEventListener("begin", (event) => {
  find("older").replaceChildren(); // those of the trial before, or from before the stream broke
  delete find("older").dataset.before;
  const heading = JSON.parse(event.data);
  find("title").textContent = heading.title;
  document.title = heading.title;
  limits = heading;
  find("rate").max = heading.limits.rate;
  [find("calls").min, find("calls").max] = heading.limits.calls;
  if (!charts.length) makeCharts(heading.charts);
  if (heading.without_calls) speakOfOperations();
  points.splice(0, points.length, ...heading.points);
  show(heading.now);
});
events.addEventListener("now", (event) => {
  show(JSON.parse(event.data));
  if (over) events.close();
});
events.addEventListener("error", () => {
  if (!over) find("phase").textContent = "the run does not answer";
});
