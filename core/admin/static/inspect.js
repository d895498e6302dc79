// Keeps answers of an inspection as they are given; without it the form's own buttons do the same.
(function () {
  "use strict";
  const form = document.querySelector("form[data-inspect]");
  if (!form) return;
  const state = form.querySelector("[data-state]"), trouble = form.querySelector("[data-trouble]");
  const waiting = new Map();
  let timer = null, busy = false, sending = false;
  const itemOf = (input) => input.closest("[data-item]");
  function outside(input) {
    if (input.dataset.least === undefined) return;
    const value = parseFloat(input.value), least = parseFloat(input.dataset.least), most = parseFloat(input.dataset.most);
    input.classList.toggle("outside", !Number.isNaN(value) && (value < least || value > most));
  }
  function say(text, bad) { state.textContent = bad ? "" : text; trouble.textContent = bad ? text : ""; trouble.hidden = !bad; }
  function tell(key, text) {
    const box = form.querySelector('[data-item="' + key + '"]');
    if (!box) return;
    const line = box.querySelector("[data-error]");
    line.textContent = text; line.hidden = !text; box.classList.toggle("wrong", Boolean(text));
  }
  async function send() {
    if (busy || sending || !waiting.size) return;
    busy = true;
    const inputs = Array.from(waiting.values()), sent = new Map(inputs.map((i) => [i, i.value]));
    waiting.clear();
    const body = new FormData();
    ["csrf_token", "version"].forEach((n) => body.append(n, form.elements[n].value));
    body.append("auto", "1");
    inputs.forEach((i) => { if (i.type === "file") { if (i.files.length) body.append(i.name, i.files[0]); } else if (i.type !== "radio" || i.checked) body.append(i.name, i.value); });
    let answer = null;
    try { answer = await fetch(form.action, { method: "POST", body }); } catch (e) { /* no network */ }
    busy = false;
    if (!answer || answer.status >= 500) { inputs.forEach((i) => waiting.has(i.name) || waiting.set(i.name, i)); say(form.dataset.offline, true); timer = setTimeout(send, 10000); return; }
    const said = (answer.headers.get("Content-Type") || "").includes("json") ? await answer.json() : { errors: {}, message: "" };
    if (said.version) form.elements.version.value = said.version;
    const wrong = Object.entries(said.errors || {});
    inputs.forEach((i) => { const box = itemOf(i); if (box) tell(box.dataset.item, ""); });
    wrong.forEach(([name, text]) => tell(name.split(".")[0], text));
    if (answer.ok) {
      // What is kept is not sent a second time with the form: pictures and signatures are files.
      inputs.filter((i) => (i.type === "file" || i.type === "hidden") && i.value === sent.get(i)).forEach((i) => { i.value = ""; });
      inputs.forEach((i) => { if (i.type !== "file" && i.type !== "hidden") return; const kept = itemOf(i).querySelector("[data-file-kept]"); if (kept) kept.hidden = false; });
      say(form.dataset.kept, false);
    } else if (!wrong.length) say(said.message, true);
    if (waiting.size) timer = setTimeout(send, 300);
  }
  function note(input, wait) { if (!input.name || !itemOf(input)) return; waiting.set(input.name, input); clearTimeout(timer); timer = setTimeout(send, wait); }
  form.addEventListener("input", (e) => { outside(e.target); if (e.target.type !== "file") note(e.target, 1200); });
  form.addEventListener("change", (e) => note(e.target, 200));
  form.querySelectorAll("canvas").forEach((c) => c.addEventListener("pointerup", () => setTimeout(() => note(c.parentElement.querySelector("input"), 2000), 60)));
  form.addEventListener("submit", (e) => { clearTimeout(timer); if (busy) { e.preventDefault(); const by = e.submitter; const again = setInterval(() => { if (!busy) { clearInterval(again); sending = true; form.requestSubmit(by); } }, 100); } sending = true; });
  window.addEventListener("online", send);
})();
