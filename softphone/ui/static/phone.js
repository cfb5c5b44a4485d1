"use strict";

/* The page of a phone: shows the state that it tells, and asks it for actions. All text is set as
   text, never as HTML: names, reasons and messages come from the far end. Elements are kept from one
   state to the next, so that the focus stays where it is. */

const find = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const SETTLING = 1000; // milliseconds
const KEYS = "123456789*0#";
const STATES = {
  ringing: "is calling you", calling: "calling", alerting: "ringing there", up: "in the call",
  held: "on hold", over: "ended",
};
let state = null;
let peer = ""; // whose conversation is open
let shown = ""; // the messages that are shown, by peer and count
let mailbox = -1; // the version of the messages that are shown

function made(name, text, className) {
  const one = document.createElement(name);
  if (text !== undefined) one.textContent = text;
  if (className) one.className = className;
  return one;
}

function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function button(text, act, className) {
  const one = made("button", text, className);
  one.type = "button";
  one.addEventListener("click", act);
  return one;
}

function bdi(text, className) {
  const one = made("bdi", text, className);
  one.dir = "auto";
  return one;
}

/* Keep one element for each item, in order; it is made once and updated each time. */
function keyed(list, items, key, make, update) {
  const there = new Map([...list.children].map((each) => [each.dataset.key, each]));
  let before = null;
  for (const item of items) {
    const name = String(key(item));
    let element = there.get(name);
    if (element) there.delete(name);
    else {
      element = make(item);
      element.dataset.key = name;
    }
    update(element, item);
    const place = before ? before.nextSibling : list.firstChild;
    if (place !== element) list.insertBefore(element, place);
    before = element;
  }
  for (const gone of there.values()) gone.remove();
}

function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(SVG, "use"));
  draw(svg, name);
  return svg;
}

function draw(svg, name) {
  const use = svg.firstChild;
  if (use.getAttribute("href") !== `#${name}`) use.setAttribute("href", `#${name}`);
}

const lockClass = (lock, byEdge) => (lock === null ? "quiet" : lock ? "good" : byEdge ? "warn" : "bad");
const lockWord = (lock, byEdge) => (
  lock === null ? "" : lock ? ", encrypted" : byEdge ? ", encrypted as far as the edge server" : ", not encrypted"
);

function tell(text) {
  find("told").hidden = !text;
  say(find("told").querySelector("p"), text);
}

/* Ask for an action; gives the answer, or null after telling why not. What nobody has pressed is
   quiet: what was told before stays. */
async function ask(path, body, { quiet = false } = {}) {
  if (!quiet) tell("");
  const answer = await fetch(path, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  }).catch(() => null);
  if (!answer) tell("softphone does not answer: has it ended?");
  else if (!answer.ok) tell((await answer.text()).trim() || answer.statusText);
  else return answer.status === 204 ? {} : answer.json();
  return null;
}

// Calls ------------------------------------------------------------------------------------------

function duration(call) {
  const seconds = Math.max(0, Math.floor((Date.now() - Date.parse(call.began)) / 1000));
  const rest = String(seconds % 60).padStart(2, "0");
  return `${Math.floor(seconds / 60)}:${rest}`;
}

function pad(onKey, label) {
  const group = made("div", undefined, "pad");
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", label);
  const names = { "*": "star", "#": "pound" };
  for (const key of KEYS) {
    const one = button(key, () => onKey(key));
    if (names[key]) one.setAttribute("aria-label", names[key]);
    group.append(one);
  }
  return group;
}

function makeCall(call) {
  const card = made("article");
  const act = (path, more = {}) => () => ask(path, { call: call.number, ...more });
  const parts = (card.parts = {});
  parts.name = bdi("");
  const title = made("h3");
  title.id = `call-${call.number}`;
  title.append(parts.name);
  card.setAttribute("aria-labelledby", title.id);
  parts.address = made("p", undefined, "quiet");
  parts.state = made("p");
  parts.security = made("p", undefined, "security");
  parts.lock = icon("unknown");
  parts.title = made("span");
  parts.security.append(parts.lock, parts.title);
  parts.why = made("p", undefined, "why");
  parts.details = made("details");
  parts.reasons = made("ul", undefined, "reasons");
  parts.details.append(made("summary", "Why, and what to do"), parts.reasons);
  parts.note = made("p", undefined, "why");
  parts.buttons = made("div", undefined, "buttons");
  parts.answer = button("Answer", act("answer"), "primary");
  parts.reject = button("Decline", act("reject"), "danger");
  parts.hold = button("Hold", act("hold"));
  parts.resume = button("Resume", act("resume"), "primary");
  parts.mute = button("Mute", () => ask("mute", { call: call.number, muted: parts.mute.getAttribute("aria-pressed") !== "true" }));
  parts.accept = button("Go there", act("accept-transfer"), "primary");
  parts.refuse = button("Stay", act("reject-transfer"));
  parts.end = button("Hang up", act("hangup"), "danger");
  parts.ladder = button("SIP ladder", () => showLadder(call.number));
  parts.buttons.append(parts.answer, parts.reject, parts.accept, parts.refuse, parts.hold, parts.resume, parts.mute, parts.end, parts.ladder);
  parts.keys = made("details");
  parts.keys.append(made("summary", "Keypad"), pad((digits) => ask("digits", { call: call.number, digits }), "Keypad of the call"));
  parts.transfer = transferForm(call, parts);
  card.append(title, parts.address, parts.state, parts.security, parts.why, parts.details, parts.note, parts.buttons, parts.keys, parts.transfer);
  return card;
}

function transferForm(call, parts) {
  const details = made("details");
  const form = made("form");
  const label = made("label", "to a number or address ");
  const line = made("div", undefined, "line");
  const input = made("input");
  input.maxLength = 256;
  input.required = true;
  input.autocomplete = "off";
  input.setAttribute("aria-label", "Transfer to a number or address");
  line.append(input, made("button", "Transfer"));
  form.append(label, line);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask("transfer", { call: call.number, target: input.value });
  });
  parts.others = made("div", undefined, "buttons");
  details.append(made("summary", "Transfer"), form, parts.others);
  return details;
}

function who(call) {
  return call.name || call.address;
}

function showCall(card, call) {
  const parts = card.parts;
  const up = call.state === "up" || call.state === "held";
  card.className = call.state;
  say(parts.name, who(call));
  const claims = { verified: "verified by its certificate", asserted: "the server says so", claimed: call.incoming ? "by its own word" : "as it was called", hidden: "asks for privacy" };
  say(parts.address, `${call.address} (${call.named ? "name from the directory; address: " : ""}${claims[call.assurance]})`);
  parts.address.hidden = call.assurance === "hidden";
  const clock = call.state === "over" ? `began ${new Date(call.began).toLocaleTimeString()}` : duration(call);
  const way = call.incoming ? "incoming" : "outgoing";
  say(parts.state, `${STATES[call.state]}, ${way}, ${clock}${call.muted && up ? ", muted" : ""}`);
  parts.security.className = `security ${lockClass(call.lock)}`;
  draw(parts.lock, call.icon);
  say(parts.title, call.title);
  say(parts.why, call.why);
  parts.details.hidden = !call.reasons.length;
  keyed(parts.reasons, call.reasons, (each) => each.text, (each) => made("li", `${each.text}: ${each.hint}`), () => {});
  say(parts.note, call.transfer_to ? `asks you to go to ${call.transfer_to}` : call.note);
  parts.answer.hidden = parts.reject.hidden = call.state !== "ringing";
  parts.accept.hidden = parts.refuse.hidden = !call.transfer_to;
  parts.hold.hidden = call.state !== "up";
  parts.resume.hidden = call.state !== "held";
  parts.mute.hidden = parts.keys.hidden = parts.transfer.hidden = !up;
  parts.mute.setAttribute("aria-pressed", String(call.muted));
  parts.end.hidden = call.state === "over" || call.state === "ringing";
  say(parts.end, up ? "Hang up" : "Give up");
  const others = state.calls.filter((each) => each.number !== call.number && (each.state === "up" || each.state === "held"));
  keyed(parts.others, up ? others : [], (each) => each.number,
    (each) => button("", () => ask("transfer", { call: call.number, other: each.number })),
    (one, each) => say(one, `Connect with ${who(each)}`));
}

function showCalls(calls) {
  document.querySelector('[data-none="calls"]').hidden = calls.length > 0;
  keyed(find("calls"), calls, (each) => each.number, makeCall, showCall);
  const ringing = calls.filter((each) => each.state === "ringing");
  say(find("ringing"), ringing.map((each) => `${who(each)} is calling you: ${each.title}.`).join(" "));
  document.title = ringing.length ? `${who(ringing[0])} is calling` : "softphone";
}

async function showLadder(number) {
  if (!(await fillLadder(number, {}))) return;
  find("ladder").dataset.call = number;
  if (!find("ladder").open) find("ladder").showModal();
}

async function fillLadder(number, how) {
  const answer = await ask("ladder", { call: number }, how);
  if (!answer) return false;
  say(find("ladder-text"), answer.ladder);
  say(find("ladder-messages"), answer.messages);
  return true;
}

function dial(target) {
  return ask("dial", { account: Number(find("account").value || 0), target });
}

// Accounts, services, certificates ---------------------------------------------------------------

function makeRow() {
  const item = made("li", undefined, "row");
  const parts = (item.parts = { icon: icon("unknown"), text: made("div"), name: bdi("", "name"), state: made("span"), why: made("p", undefined, "why quiet") });
  const first = made("p");
  first.append(parts.name, ": ", parts.state);
  parts.text.append(first, parts.why);
  item.append(parts.icon, parts.text);
  return item;
}

function showRow(item, each, name, more, why) {
  draw(item.parts.icon, each.icon);
  item.parts.icon.setAttribute("class", lockClass(each.lock, each.by_edge));
  say(item.parts.name, name);
  say(item.parts.state, `${each.state}${lockWord(each.lock, each.by_edge)}${more}`);
  say(item.parts.why, why);
  item.parts.why.className = each.state === "failed" || each.state === "lost" ? "why bad" : "why quiet";
}
function again(item, wanted, path, body) {
  const there = item.querySelector("button");
  if (wanted && !there) item.append(button("Try again", () => ask(path, body), "small"));
  else if (!wanted && there) there.remove();
}

function showSignIn(now) {
  find("sign-in").hidden = !now;
  if (!now) return;
  say(find("sign-in-state"), `${now.account}: ${now.state}`);
  say(find("sign-in-why"), now.why);
  find("sign-in-again").hidden = now.state !== "failed";
  const details = find("sign-in-details");
  if (details.dataset.state !== now.state) {
    details.dataset.state = now.state;
    details.open = now.state !== "signed in"; // what went well is out of the way
  }
  const steps = now.steps.map((each, number) => ({ ...each, number }));
  keyed(find("steps"), steps, (each) => `${each.number} ${each.name}`, (each) => {
    const item = made("li");
    const line = made("p");
    item.parts = { said: made("span"), why: made("p", undefined, "why quiet") };
    line.append(bdi(each.name, "name"), ": ", item.parts.said);
    item.append(line, item.parts.why);
    return item;
  }, (item, each) => {
    say(item.parts.said, [each.outcome, each.detail].filter(Boolean).join(": "));
    say(item.parts.why, each.why);
    item.className = each.outcome === "failed" ? "bad" : "";
  });
}

function showAccounts(accounts, services) {
  keyed(find("accounts"), accounts, (each) => each.number, makeRow, (item, each) => {
    const waiting = each.waiting ? `, ${each.waiting} new voice messages` : "";
    showRow(item, each, each.aor, waiting, each.detail || each.why);
    again(item, each.state === "failed", "register", { account: each.number });
  });
  const retry = { chat: "chat-sign-in", voicemail: "voicemail-again" };
  keyed(find("services"), services, (each) => `${each.kind} ${each.name}`, makeRow, (item, each) => {
    showRow(item, each, `${each.kind} ${each.name}`.trim(), each.server && `, at ${each.server}`, each.why);
    again(item, each.again, retry[each.kind], {});
  });
  const select = find("account");
  keyed(select, accounts, (each) => each.number, (each) => {
    const one = made("option", each.aor);
    one.value = each.number;
    return one;
  }, (one, each) => { one.disabled = !each.usable; });
  find("from").hidden = accounts.length < 2;
}

function showCertificates(rows) {
  document.querySelector('[data-none="certificates"]').hidden = rows.length > 0;
  const key = (each) => `${each.of} ${each.whose} ${each.subject} ${each.wrong}`;
  keyed(find("certificates"), rows, key, () => {
    const item = made("li");
    item.parts = [made("p"), made("p", undefined, "why quiet"), made("p", undefined, "bad"), made("p", undefined, "why")];
    item.append(...item.parts);
    return item;
  }, (item, each) => {
    const [name, checked, wrong, hint] = item.parts;
    say(name, `${each.of}: ${each.whose === "ours" ? "our own" : "the server's"}${each.subject ? `, ${each.subject}` : ""}`);
    const until = each.expires ? `until ${new Date(each.expires * 1000).toLocaleDateString()}` : "";
    say(checked, [each.checked, until].filter(Boolean).join("; "));
    say(wrong, each.wrong);
    say(hint, each.hint ? `What to do: ${each.hint}` : "");
  });
}

function makeQuestion(question) {
  const card = made("article");
  const facts = made("dl");
  const rows = [
    ["server", `${question.host} port ${question.port} (${question.service})`], ["subject", question.subject],
    ["issuer", question.issuer], ["names", question.names.join(", ") || "none"], ["valid", `${question.from} to ${question.until}`],
    ["SHA-256", question.fingerprint], ["why", question.reason], ["and", question.mismatch],
  ];
  for (const [name, value] of rows) if (value) facts.append(made("dt", name), made("dd", value));
  const buttons = made("div", undefined, "buttons");
  const answer = (accept) => () => ask("question", { question: question.number, accept });
  buttons.append(button("Refuse", answer(false), "primary"), button("Trust it from now on", answer(true), "danger"));
  card.append(made("p", "Is this the server that you mean? Compare the SHA-256 with what its administrator says."), facts, buttons);
  return card;
}

/* A card that has come, or moved, takes no answer for a while: a double click answers one question. */
function settle(card) {
  const place = `${card.offsetLeft} ${card.offsetTop}`;
  if (card.place === place) return;
  card.place = place;
  const buttons = card.querySelectorAll("button");
  for (const each of buttons) each.disabled = true;
  clearTimeout(card.settling);
  card.settling = setTimeout(() => { for (const each of buttons) each.disabled = false; }, SETTLING);
}

// Contacts, chat, voicemail ----------------------------------------------------------------------

function makeContact(contact) {
  const item = made("li");
  const about = [contact.title, contact.department, contact.email].filter(Boolean).join(", ");
  const buttons = made("div", undefined, "buttons");
  for (const number of contact.numbers) {
    if (number.dialed) buttons.append(button(`Call ${number.text} (${number.kind})`, () => dial(number.dialed), "small"));
  }
  if (contact.uri) buttons.append(button(`Call ${contact.uri}`, () => dial(contact.uri), "small"));
  const name = made("p");
  name.append(bdi(contact.name));
  item.append(name, made("p", about, "quiet"), buttons);
  return item;
}

async function search() {
  const answer = await ask("search", { word: find("word").value });
  if (!answer) return;
  const count = answer.contacts.length;
  say(find("found"), [count ? `${count} found` : "nobody found", ...answer.failures].join("; "));
  find("contacts").replaceChildren(...answer.contacts.map(makeContact));
}

function showChat(peers, services) {
  const chat = services.find((each) => each.kind === "chat");
  const none = document.querySelector('[data-none="chat"]');
  const absent = !chat || chat.state === "left out";
  none.hidden = !absent && peers.length > 0;
  const whence = state.sign_in ? "the sign-in has found none" : "[im] of the account file names a server";
  say(none, absent ? `there is no chat: ${(chat && chat.why) || whence}` : "no conversation yet");
  find("talk-to").hidden = absent;
  keyed(find("peers"), peers, (each) => each.peer, (each) => {
    const item = made("li");
    const open = button("", () => openConversation(each.peer), "small");
    open.append(bdi(each.peer), made("span"));
    item.append(open);
    return item;
  }, (item, each) => {
    const words = [each.show, each.status, each.unread ? `${each.unread} new` : ""].filter(Boolean).join(", ");
    say(item.querySelector("span"), words ? ` (${words})` : "");
  });
  const open = peers.find((each) => each.peer === peer);
  if (peer && open && `${peer} ${open.count}` !== shown) showMessages();
}

function openConversation(name) {
  peer = name;
  shown = "";
  find("conversation").hidden = false;
  say(find("conversation-title"), name);
  find("messages").replaceChildren();
  showMessages();
  find("text").focus();
}

async function showMessages() {
  const asked = peer;
  const open = state.chat.find((each) => each.peer === asked);
  shown = `${asked} ${open ? open.count : 0}`;
  const answer = await ask("messages", { peer: asked }, { quiet: true });
  if (!answer || asked !== peer) return;
  const list = find("messages");
  keyed(list, answer.messages, (each) => `${each.sent} ${each.id} ${each.at}`, (each) => {
    const item = made("li", undefined, "row");
    const body = made("div");
    const head = made("p", `${each.sent ? "you" : each.sender}, ${new Date(each.at).toLocaleTimeString()}, ${each.why}`, "quiet why");
    const text = made("p");
    text.append(bdi(each.body));
    body.append(head, text);
    item.append(icon(each.sign), body);
    return item;
  }, () => {});
  list.scrollTop = list.scrollHeight;
}

function showVoicemail(voicemail) {
  const note = find("voicemail-note");
  const whence = state.sign_in ? "the sign-in has found none" : "[voicemail] of the account file names one";
  if (!voicemail.there) say(note, `there is no mailbox: ${whence}`);
  else say(note, `${voicemail.new} new, ${voicemail.old} old${voicemail.playing ? "; one is being played" : ""}`);
  for (const item of find("voicemail").children) {
    const playing = voicemail.playing === item.dataset.key;
    say(item.parts.play, playing ? "Stop" : "Play");
  }
  if (voicemail.there && voicemail.version > 0 && voicemail.version !== mailbox) {
    mailbox = voicemail.version;
    listVoicemail();
  }
}

async function listVoicemail() {
  const answer = await ask("voicemail", {}, { quiet: true });
  if (!answer) return;
  keyed(find("voicemail"), answer.messages, (each) => each.id, (each) => {
    const item = made("li");
    const parts = (item.parts = { who: made("p"), about: made("p", undefined, "quiet why") });
    parts.play = button("Play", () => (state.voicemail.playing === each.id ? ask("voicemail-stop", {}) : ask("voicemail-play", { id: each.id })), "small");
    parts.mark = button("", () => ask("voicemail-mark", { id: each.id, read: item.dataset.read !== "true" }), "small");
    const buttons = made("div", undefined, "buttons");
    buttons.append(parts.play, parts.mark);
    item.append(parts.who, parts.about, buttons);
    return item;
  }, (item, each) => {
    item.dataset.read = String(each.read);
    say(item.parts.who, `${each.peer || "unknown"}${each.authenticated ? "" : " (not verified)"}`);
    const marks = [each.read ? "" : "new", each.urgent ? "urgent" : "", each.secure ? "secure" : "", each.private ? "private" : ""];
    const when = each.arrived ? new Date(each.arrived).toLocaleString() : "";
    say(item.parts.about, [when, `${each.seconds} s`, each.subject, ...marks].filter(Boolean).join(", "));
    say(item.parts.mark, each.read ? "Mark as new" : "Mark as read");
  });
}

// What comes, and what is pressed ----------------------------------------------------------------

function show(now) {
  state = now;
  find("fips-sign").toggleAttribute("hidden", !now.fips);
  say(find("sound"), now.sound.usable ? "" : `No sound here: ${now.sound.problem}`);
  find("questions").hidden = !now.questions.length;
  keyed(find("questions").querySelector(".cards"), now.questions, (each) => each.number, makeQuestion, () => {});
  showCalls(now.calls);
  showSignIn(now.sign_in);
  showAccounts(now.accounts, now.services);
  showCertificates(now.certificates);
  showChat(now.chat, now.services);
  showVoicemail(now.voicemail);
  const ladder = find("ladder"); // it grows while it is open, as long as its call is kept
  if (ladder.open && now.calls.some((each) => each.number === Number(ladder.dataset.call))) {
    fillLadder(Number(ladder.dataset.call), { quiet: true });
  }
  keyed(find("notes"), now.notes, (each) => each.number, (each) => made("li", each.text), () => {});
  find("questions").querySelectorAll(".cards > *").forEach(settle); // where they are now
}

find("pad").replaceWith(Object.assign(pad((key) => { find("target").value += key; }, "Dial pad"), { id: "pad" }));
find("dial").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (await dial(find("target").value)) find("target").value = "";
});
find("search").addEventListener("submit", (event) => { event.preventDefault(); search(); });
find("talk-to").addEventListener("submit", (event) => { event.preventDefault(); openConversation(find("peer").value.trim()); });
find("send").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = find("text").value;
  if (await ask("send", { to: peer, text })) find("text").value = "";
});
find("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    find("send").requestSubmit();
  }
});
find("sign-in-again").addEventListener("click", () => ask("sign-in", {}));
find("told-close").addEventListener("click", () => tell(""));
setInterval(() => { if (state) showCalls(state.calls); }, 1000);

const events = new EventSource("events");
events.addEventListener("state", (event) => {
  say(find("connection"), "");
  show(JSON.parse(event.data));
});
events.addEventListener("error", () => say(find("connection"), "softphone does not answer"));
