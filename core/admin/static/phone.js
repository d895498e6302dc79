// Forms of the field: kept on the phone while they are filled, sent again under the same key when the network is back.
(function () {
  "use strict";
  const $ = (s, from) => (from || document).querySelector(s);
  const $$ = (s, from) => Array.from((from || document).querySelectorAll(s));
  const words = ($("[data-phone-words]") || document.body).dataset;
  const AGAIN = 15000;
  const STALE = 12 * 3600 * 1000; // what waited longer is shown again, but no longer sent by itself
  const name = (form) => "kept:" + form.dataset.keep;
  function read(form) {
    try {
      const kept = JSON.parse(localStorage.getItem(name(form)));
      if (kept && Date.now() - kept.at > STALE) kept.pending = false;
      return kept;
    } catch (e) { return null; }
  }
  function write(form, pending) {
    const values = {};
    $$("[name]", form).forEach((i) => {
      if (i.type === "file" || i.name === "csrf_token") return;
      if (i.type === "checkbox" || i.type === "radio") { values[i.name] = values[i.name] || []; if (i.checked) values[i.name].push(i.value); }
      else values[i.name] = [i.value];
    });
    try { localStorage.setItem(name(form), JSON.stringify({ values, pending: Boolean(pending), at: Date.now(), tapped: form.dataset.tapped })); } catch (e) { /* full or private: the page itself still holds it */ }
  }
  const forget = (form) => { try { localStorage.removeItem(name(form)); } catch (e) { /* nothing kept */ } };

  function restore(form, kept) {
    $$("[name]", form).forEach((i) => {
      const held = kept.values[i.name];
      if (!held || i.type === "file" || i.name === "csrf_token") return;
      // Only what is still on its way keeps its key; after a refusal the page has brought a new one.
      if (i.name === "key" && !kept.pending) return;
      if (i.type === "checkbox" || i.type === "radio") i.checked = held.includes(i.value);
      else i.value = held[0] || "";
    });
    // A drawn signature is shown again.
    $$("[data-signature]", form).forEach((box) => {
      const input = $("input", box), canvas = $("canvas", box);
      if (!input.value) return;
      const image = new Image();
      image.onload = () => canvas.getContext("2d").drawImage(image, 0, 0);
      image.src = input.value;
    });
  }

  // --- photos wait in the browser's own database: they are too large for the other store
  function shelf() {
    return new Promise((done, fail) => {
      const ask = indexedDB.open("shouhou-photos", 1);
      ask.onupgradeneeded = () => ask.result.createObjectStore("files");
      ask.onsuccess = () => done(ask.result);
      ask.onerror = () => fail(ask.error);
    });
  }
  async function onShelf(mode, call) {
    const base = await shelf();
    return new Promise((done, fail) => {
      const ask = call(base.transaction("files", mode).objectStore("files"));
      ask.onsuccess = () => done(ask.result);
      ask.onerror = () => fail(ask.error);
    });
  }
  async function keepFiles(form) {
    const files = $$('input[type="file"]', form).flatMap((i) => Array.from(i.files).map((f) => ({ field: i.name, file: f })));
    try { await onShelf("readwrite", (s) => files.length ? s.put(files, name(form)) : s.delete(name(form))); } catch (e) { /* no database: the page holds them */ }
  }
  async function restoreFiles(form) {
    try {
      const kept = await onShelf("readonly", (s) => s.get(name(form)));
      $$('input[type="file"]', form).forEach((input) => {
        const own = (kept || []).filter((k) => k.field === input.name);
        if (!own.length || input.files.length) return;
        const bag = new DataTransfer();
        own.forEach((k) => bag.items.add(k.file));
        input.files = bag.files;
        input.dispatchEvent(new Event("change", { bubbles: true }));
      });
    } catch (e) { /* no database */ }
  }
  async function dropFiles(form) { try { await onShelf("readwrite", (s) => s.delete(name(form))); } catch (e) { /* none */ } }

  // --- sending
  let bar = null;
  function tell(text) {
    if (!bar) { bar = document.createElement("div"); bar.className = "waiting-bar"; bar.setAttribute("role", "alert"); document.body.append(bar); }
    bar.textContent = text;
    bar.hidden = !text;
  }
  const busy = new WeakSet();
  async function send(form) {
    if (busy.has(form)) return;
    busy.add(form);
    const button = $("button:not([type=button])", form);
    if (button) button.setAttribute("aria-busy", "true");
    // When it was done is when the button was pressed, not when the network came back.
    form.dataset.tapped = form.dataset.tapped || new Date().toISOString();
    write(form, true);
    await keepFiles(form);
    let answer = null;
    const body = new FormData(form);
    body.append("tapped", form.dataset.tapped);
    try { answer = await fetch(form.action, { method: "POST", body }); } catch (e) { /* no network */ }
    busy.delete(form);
    if (button) button.removeAttribute("aria-busy");
    if (!answer || answer.status >= 502) { tell(words.waiting); setTimeout(() => resend(form), AGAIN); return; }
    tell("");
    const path = new URL(answer.url).pathname;
    if (answer.redirected && path.startsWith("/sign-in")) { tell(words.signIn); location.href = answer.url; return; }
    if (answer.redirected) { forget(form); await dropFiles(form); location.href = answer.url; return; }
    // Refused or to be corrected: the server's page takes this one's place, as if it had been sent the usual way.
    write(form, false);
    const html = await answer.text();
    history.replaceState(null, "", form.action);
    document.open(); document.write(html); document.close();
  }
  function resend(form) {
    const kept = read(form);
    if (document.contains(form) && kept && kept.pending) { tell(words.again); send(form); }
  }

  function keep(form) {
    const kept = read(form);
    if (kept) {
      if (kept.pending && kept.tapped) form.dataset.tapped = kept.tapped;
      restore(form, kept);
      restoreFiles(form).then(() => { if (kept.pending) resend(form); });
      if (!kept.pending && !$(".error, .note.tone-bad", form) && window.suite) window.suite.toast(words.restored);
    }
    form.addEventListener("input", () => write(form, false));
    form.addEventListener("change", () => { write(form, false); keepFiles(form); });
    $$("canvas", form).forEach((c) => c.addEventListener("pointerup", () => setTimeout(() => write(form, false), 50)));
    form.addEventListener("submit", (event) => { event.preventDefault(); event.stopPropagation(); send(form); });
  }
  $$("form[data-keep]").forEach(keep);

  // --- the forms of a job lie in its page, so that they open without a network
  const job = $("[data-job]"), place = $("[data-held-place]");
  const path = (url) => new URL(url, location.href).pathname;
  const held = (url) => $$("template[data-held]").find((t) => path(t.dataset.held) === path(url));
  function open(template) {
    place.replaceChildren(template.content.cloneNode(true));
    job.hidden = true;
    window.suite.wire(place);
    keep($("form", place));
    window.scrollTo(0, 0);
  }
  function close() { place.replaceChildren(); job.hidden = false; }
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!job || !link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (link.closest("[data-held-place]") && path(link.href) === path(job.dataset.job)) { event.preventDefault(); history.back(); return; }
    const template = link.closest("[data-job]") && held(link.href);
    if (!template) return;
    event.preventDefault();
    history.pushState({ held: link.href }, "", link.href);
    open(template);
  });
  window.addEventListener("popstate", (event) => {
    if (!job) return;
    const template = event.state && event.state.held && held(event.state.held);
    if (template) open(template); else close();
  });

  // --- what waits from before
  if (job) {
    // A button of this page that is gone was either done or overtaken.
    const gone = "kept:" + job.dataset.keys;
    try { Object.keys(localStorage).filter((k) => k.startsWith(gone) && !$$("form[data-keep]").some((f) => name(f) === k)).forEach((k) => localStorage.removeItem(k)); } catch (e) { /* nothing kept */ }
  }
  function waiting() {
    try { return Object.keys(localStorage).filter((k) => k.startsWith("kept:") && (JSON.parse(localStorage.getItem(k)) || {}).pending).map((k) => k.slice(5)); } catch (e) { return []; }
  }
  const left = waiting(), own = job && left.find((k) => k.startsWith(path(job.dataset.job) + "/"));
  if (own && held(own)) { history.pushState({ held: own }, "", own); open(held(own)); }
  // The step is behind already: its own page asks the server again, which then says that it is done.
  else if (own) location.href = own;
  else if (!$("form[data-keep]") && left.length) {
    const number = left[0].match(/\d+/);
    tell(words.unsent);
    if (number) { const link = document.createElement("a"); link.href = "/my/" + number[0]; link.textContent = words.show; bar.append(" ", link); }
  }
  window.addEventListener("online", () => $$("form[data-keep]").forEach(resend));
})();
