// The keeper's desk: scans of a gun (text and Enter) are taken one after the other without loading the page anew.
(function () {
  "use strict";
  const form = document.querySelector("form[data-desk]");
  if (!form) return;
  const box = form.querySelector("[data-scan]"), words = document.querySelector("[data-desk-words]").dataset;
  const waiting = [];
  let busy = false;

  function who(from) { return Array.from(from.querySelectorAll("[data-desk-who] select")); }

  async function take(text) {
    const sent = new FormData(form), before = new Map(who(form).map((s) => [s.name, s.value]));
    sent.set("scan", text);
    sent.set("do", "add");
    sent.delete("photo");
    let answer = null;
    try { answer = await fetch(form.action, { method: "POST", body: sent }); } catch (e) { /* no network */ }
    if (answer && answer.redirected) { location.href = answer.url; return; }
    if (!answer || answer.status >= 400) { waiting.length = 0; box.value = box.value || text; box.select(); window.suite.toast(words.offline, "bad"); return; }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    ["[data-desk-said]", "[data-desk-list]"].forEach((part) => form.querySelector(part).replaceWith(document.adoptNode(page.querySelector(part))));
    // A first scan may choose the store, or who brings it back; what was chosen by hand meanwhile stays.
    who(page).forEach((s) => { const own = form.elements[s.name]; if (own && own.value === before.get(s.name)) own.value = s.value; });
  }

  async function next() {
    if (busy) return;
    busy = true;
    while (waiting.length) await take(waiting.shift());
    busy = false;
  }

  form.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (button && button.value !== "add") return;
    event.preventDefault();
    event.stopPropagation();
    if (box.value.trim()) waiting.push(box.value);
    box.value = "";
    box.focus();
    next();
  });

  // Enter in the small boxes presses the button beside them, not the one of the scan box.
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target.name !== "quantity") return;
    event.preventDefault();
    form.querySelector('button[value="part"]').click();
  });

  // Whatever is scanned lands in the box, even if something else was touched last.
  document.addEventListener("keydown", (event) => {
    if (event.key.length !== 1 || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.target.closest && event.target.closest("input, textarea, select")) return;
    event.stopPropagation();
    box.focus();
  }, true);
  form.addEventListener("change", (event) => { if (event.target.matches("select")) box.focus(); });
})();
