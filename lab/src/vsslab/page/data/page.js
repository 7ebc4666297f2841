// Copyright: (c) 2026, umbra contributors
// SPDX-License-Identifier: GPL-3.0-or-later
// The live page. Whatever a laboratory's hosts are called, it is text: only text nodes are made of data, never markup.
"use strict";

const EVERY = 1000; // milliseconds between two looks
const QUIET = 5; // looks after which everything open is read again, although nothing was traced
const AT_ONCE = 100; // hosts listed before "more" is asked for

// --- what is shown: [heading, key in the data, columns]; a column is [heading, value of a row, class]

const GIB = 1073741824;
const count = (value) => (value === null || value === undefined ? "" : value.toLocaleString("en"));
const size = (value) => {
  if (value === null) return "unbounded";
  for (const [unit, bytes] of [["TiB", 1024 * GIB], ["GiB", GIB], ["MiB", GIB / 1024], ["KiB", 1024]]) {
    if (value >= bytes) return `${(value / bytes).toFixed(value < 10 * bytes ? 1 : 0)} ${unit}`;
  }
  return `${value} B`;
};
const moment = (text) => (text ? text.slice(0, 10) + " " + text.slice(11, 19) : "");
const clock = (text) => (text ? text.slice(11, 23) : "");
const listed = (data) => Object.entries(data).map(([key, value]) => `${key}: ${plain(value)}`).join(", ");
const plain = (value) => (typeof value === "string" ? value : JSON.stringify(value));
const tone = (text, mood) => ({ text, mood });

const HAPPENED = ["What happened last (UTC)", "happened", [
  ["Time", (row) => clock(row.time), "code short"],
  ["Host", (row) => row.host, "short"],
  ["Note", (row) => ({ "!": tone("fault", "busy"), x: tone("failed", "bad"), "?": tone("refused", "bad") })[row.mark] || "", "short"],
  ["What", (row) => row.text, "code"],
], (row) => row.n];

const SESSIONS = ["Client sessions, newest first", "sessions", [
  ["Host", (row) => row.host, "short"],
  ["User", (row) => row.user],
  ["Client", (row) => row.client, "code short"],
  ["State", (row) => (row.open ? tone("open", "good") : "closed")],
  ["Requests", (row) => count(row.operations), "number"],
  ["of which", (row) => listed(row.by_operation)],
  ["Authentication", (row) => count(row.authentications), "number"],
  ["Bytes up", (row) => count(row.bytes_up), "number"],
  ["Bytes down", (row) => count(row.bytes_down), "number"],
  ["Seconds", (row) => row.seconds.toFixed(1), "number"],
], (row) => `${row.host} ${row.client}`];

const FAULTS = ["Faults", "faults", [
  ["Fault", (row) => row.id, "short"],
  ["On", (row) => listed(row.on), "code"],
  ["Do", (row) => listed(row.do), "code"],
  ["From the nth", (row) => count(row.nth), "number"],
  ["Times", (row) => (row.times === 0 ? "always" : count(row.times)), "number"],
  ["Met", (row) => count(row.seen), "number"],
  ["Fired", (row) => (row.fired ? tone(count(row.fired) + (row.hanging ? `, ${row.hanging} hanging` : ""), "busy") : "0"), "number"],
], (row) => row.id];

const HOST = [
  ["Shadow copies", "shadows", [
    ["Shadow copy", (row) => row.id, "code"],
    ["Set", (row) => row.set, "code"],
    ["Volume", (row) => row.volume + (row.label ? ` (${row.label})` : "")],
    ["Created (UTC)", (row) => moment(row.created), "short"],
    ["Attributes", (row) => row.attributes.join(", ").replaceAll("_", " ")],
    ["Exposed", (row) => row.exposed],
    ["Requestor", (row) => row.requestor],
  ]],
  ["Writers", "writers", [
    ["Writer", (row) => row.name],
    ["Service", (row) => row.service],
    ["State", (row) => tone(row.state, row.failed ? "bad" : row.state === "stable" ? "good" : "busy")],
    ["Last error", (row) => row.error],
  ]],
  ["Storage areas", "areas", [
    ["For", (row) => row.volume],
    ["On", (row) => row.on],
    ["Used", (row) => size(row.used), "number"],
    ["Allocated", (row) => size(row.allocated), "number"],
    ["At most", (row) => size(row.maximum), "number"],
  ]],
  ["Volumes", "volumes", [
    ["Volume", (row) => row.name],
    ["Label", (row) => row.label],
    ["File system", (row) => row.file_system],
    ["Size", (row) => size(row.capacity), "number"],
    ["Free", (row) => size(row.free), "number"],
  ]],
  ["Applications", "applications", [
    ["Application", (row) => row.name],
    ["Kind", (row) => row.kind],
    ["Process", (row) => (row.pid ? String(row.pid) : "ended"), "number"],
    ["State", (row) => (row.error ? tone(row.error, "bad") : row.state || "")],
    ["Writes", (row) => count(row.writes), "number"],
    ["a second", (row) => count(row.writes_per_second), "number"],
    ["Longest pause, s", (row) => count(row.longest_pause), "number"],
  ], (row) => row.name],
  ["Scheduled tasks", "tasks", [
    ["Task", (row) => row.name],
    ["State", (row) => (row.state === "Running" ? tone(row.state, "busy") : row.state)],
    ["Account", (row) => row.account],
    ["Last run (UTC)", (row) => moment(row.last_run), "short"],
    ["Last result", (row) => row.last_result, "code"],
  ]],
  ["Windows events, newest first (UTC)", "events", [
    ["Time", (row) => moment(row.time), "short"],
    ["Log", (row) => row.log],
    ["Source", (row) => row.provider],
    ["Event", (row) => String(row.event), "number"],
    ["Level", (row) => tone(row.level, { error: "bad", critical: "bad", warning: "busy" }[row.level] || "")],
    ["Message", (row) => row.message],
  ]],
  ["Asked for and not simulated", "refusals", [
    ["What", (row) => row.id],
    ["Times", (row) => count(row.times), "number"],
  ]],
  SESSIONS,
  HAPPENED,
];

const FACTS = [
  ["State", (host) => tone(host.state === "idle" ? "idle" : host.detail, MOOD[host.state])],
  ["Windows", (host) => `${host.caption}, ${host.version}`],
  ["Language", (host) => host.language],
  ["Address", (host) => host.address],
  ["Local time", (host) => `${host.local_time.replace("T", " ")} (${host.time_zone})`],
  ["Up since", (host) => `${moment(host.boot_time)} UTC`],
];
const MOOD = { idle: "good", creating: "busy", failed: "bad", untouched: "" };

// --- making elements; text only

function element(name, attributes = {}, ...inside) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value) made.setAttribute(key, value);
  made.append(...inside);
  return made;
}

function say(cell, value) {
  const { text, mood } = typeof value === "object" ? value : { text: value, mood: "" };
  if (cell.textContent !== text) cell.textContent = text;
  if ((cell.dataset.tone || "") !== (mood || "")) {
    if (mood) cell.dataset.tone = mood;
    else delete cell.dataset.tone;
  }
}

// Make the children of `parent` those of `rows`: what stays is kept, so that nobody's place or selection is lost.
function reconcile(parent, rows, key, make, fill) {
  const before = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const seen = new Map();
  let place = parent.firstElementChild;
  for (const row of rows) {
    let name = String(key(row));
    const again = seen.get(name) || 0;
    seen.set(name, again + 1);
    if (again) name += `\u0000${again}`;
    let child = before.get(name);
    before.delete(name);
    if (!child) {
      child = make(row);
      child.dataset.key = name;
    }
    fill(child, row);
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
  for (const child of before.values()) child.remove();
}

function section([heading, name, columns]) {
  const head = columns.map(([title, , kind]) => element("th", { scope: "col", class: kind === "number" ? kind : "" }, title));
  const id = `section-${name}`;
  const table = element("table", { "aria-labelledby": id }, element("thead", {}, element("tr", {}, ...head)), element("tbody"));
  return element("section", { id: name }, element("h3", { id }, heading),
    element("div", { class: "wide", hidden: "hidden" }, table), element("p", { class: "none" }, "none"));
}

function show([, name, columns, key = (row) => row.id], rows) {
  const place = document.getElementById(name);
  if (!place) return;
  place.querySelector(".wide").hidden = rows.length === 0;
  place.querySelector(".none").hidden = rows.length > 0;
  reconcile(place.querySelector("tbody"), rows, key,
    () => element("tr", {}, ...columns.map(([, , kind]) => element("td", { class: kind || "" }))),
    (line, row) => columns.forEach(([, value], number) => say(line.children[number], value(row) ?? "")));
}

// --- the fleet

const state = { fleet: [], revision: -1, looks: 0, listed: AT_ONCE, opened: null };
const $ = (id) => document.getElementById(id);
const chosen = () => {
  const found = /^#host=(.*)$/.exec(location.hash);
  try {
    return found ? decodeURIComponent(found[1]) : null;
  } catch {
    return null; // an address somebody typed
  }
};

function listHosts() {
  const wanted = $("filter").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const words = (host) => [host.name, host.address, host.profile, host.language, host.state, host.detail].join(" ").toLowerCase();
  const found = state.fleet.filter((host) => wanted.every((word) => words(host).includes(word)));
  const shown = found.slice(0, state.listed);
  reconcile($("hosts"), shown, (host) => host.name, hostLink, fillHost);
  const counted = wanted.length ? `${count(found.length)} of ${count(state.fleet.length)} hosts` : `${count(found.length)} hosts`;
  if ($("count").textContent !== counted) $("count").textContent = counted;
  $("more").hidden = shown.length === found.length;
  $("more").textContent = `Show ${count(Math.min(found.length - shown.length, 5 * AT_ONCE))} more`;
}

function hostLink(host) {
  return element("li", {}, element("a", { class: "host", href: `#host=${encodeURIComponent(host.name)}` },
    element("b"), " ", element("span"), element("small")));
}

function fillHost(item, host) {
  const [name, mood, more] = item.firstElementChild.children;
  say(name, host.name);
  say(mood, tone(host.state === "untouched" ? "" : host.state, MOOD[host.state]));
  const facts = [host.address, host.profile, host.language];
  if (host.shadow_copies) facts.push(`${count(host.shadow_copies)} shadow cop${host.shadow_copies === 1 ? "y" : "ies"}`);
  if (host.sessions) facts.push(`${count(host.sessions)} session${host.sessions === 1 ? "" : "s"}`);
  say(more, facts.join(" · "));
  mark(item.firstElementChild, host.name === chosen());
}

function mark(link, current) {
  if (current) link.setAttribute("aria-current", "page");
  else link.removeAttribute("aria-current");
}

// --- what is open on the right

function open() {
  const name = chosen();
  if (state.opened === (name ?? "")) return;
  state.opened = name ?? "";
  const parts = name === null ? [FAULTS, SESSIONS, HAPPENED] : HOST;
  const facts = FACTS.map(([title]) => [element("dt", {}, title), element("dd")]).flat();
  $("content").replaceChildren(element("h2", {}, name ?? "Whole fleet"),
    ...(name === null ? [] : [element("dl", { id: "facts" }, ...facts)]), ...parts.map(section));
  document.title = name === null ? "vsslab" : `${name} - vsslab`;
  mark($("overview"), name === null);
}

async function read(path) {
  const answer = await fetch(`data/${path}`);
  if (!answer.ok) throw new Error((await answer.text()).trim());
  return answer.json();
}

async function fill() {
  const name = chosen();
  if (name === null) {
    const parts = [FAULTS, SESSIONS, HAPPENED];
    const answers = await Promise.all(parts.map(([, key]) => read(key)));
    if (chosen() === null) parts.forEach((part, number) => show(part, answers[number][part[1]]));
    return;
  }
  if (!state.fleet.some((host) => host.name === name)) {
    $("content").replaceChildren(element("h2", {}, name), element("p", {}, "There is no host of that name."));
    return;
  }
  const host = await read(`host/${encodeURIComponent(name)}`);
  if (chosen() !== name) return; // another was opened meanwhile
  FACTS.forEach(([, value], number) => say($("facts").children[2 * number + 1], value(host)));
  HOST.forEach((part) => show(part, host[part[1]]));
}

// --- looking again and again

function link(kind, text) {
  if ($("link").dataset.state !== kind || $("link").textContent !== text) {
    $("link").dataset.state = kind;
    $("link").textContent = text;
  }
}

async function look(everything) {
  try {
    const now = await read("now");
    $("scenario").textContent = now.scenario;
    $("time").textContent = `${moment(now.time)} UTC`;
    $("virtual").hidden = !now.virtual;
    state.looks += 1;
    if (everything || now.revision !== state.revision || state.looks % QUIET === 0) {
      state.revision = now.revision;
      state.fleet = (await read("fleet")).hosts;
      listHosts();
      await fill();
    }
    link("live", "live");
  } catch (problem) {
    if (problem instanceof TypeError) link("lost", "The laboratory does not answer.");
    else link("lost", problem.message);
  }
}

let busy = Promise.resolve();
const again = (everything) => (busy = busy.then(() => look(everything)));

async function forever() {
  await again(false);
  setTimeout(forever, EVERY);
}

addEventListener("hashchange", () => {
  open();
  listHosts();
  $("content").scrollTop = 0;
  again(true);
});
addEventListener("DOMContentLoaded", () => {
  $("filter").addEventListener("input", () => {
    state.listed = AT_ONCE;
    listHosts();
  });
  $("more").addEventListener("click", () => {
    state.listed += 5 * AT_ONCE;
    listHosts();
  });
  open();
  forever();
});
