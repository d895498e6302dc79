// The record page: forms in a dialog, files dropped or pasted, @mentions. Everything works without it, page by page.
(function () {
  "use strict";
  const $ = (s, from) => (from || document).querySelector(s);
  const dialog = $("#form-dialog");

  // --- a step's form, fetched into a dialog; errors come back as a whole page
  async function open(url) {
    const answer = await fetch(url, { headers: { Accept: "text/html" } });
    if (!answer.ok) { location.href = url; return; }
    const form = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-form-body]");
    if (!form) { location.href = url; return; }
    const title = document.createElement("h2");
    title.textContent = form.dataset.title;
    $("[data-form-place]", dialog).replaceChildren(title, document.adoptNode(form));
    dialog.showModal();
    const first = form.querySelector("select, textarea, input:not([type=hidden])");
    if (first) first.focus();
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-form-dialog]");
    if (link && dialog && dialog.showModal && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      open(link.href).catch(() => { location.href = link.href; });
    }
    if (dialog && dialog.open && event.target.closest("[data-form-close]")) { event.preventDefault(); dialog.close(); }
  });

  // --- files
  const box = $("[data-drop-files]");
  async function send(files) {
    const body = new FormData();
    body.append("csrf_token", box.dataset.token);
    const stamp = new Date().toISOString().replace(/\D/g, "").slice(0, 14);
    for (const file of files) {
      const good = await window.suite.smaller(file);
      body.append("file", good, !file.name || file.name === "image.png" ? "screenshot-" + stamp + (good.type === "image/jpeg" ? ".jpg" : ".png") : good.name);
    }
    box.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(box.dataset.dropFiles, { method: "POST", body, headers: { Accept: "application/json" } });
      if (answer.ok) { location.hash = "files"; location.reload(); return; }
      const told = await answer.json().catch(() => ({}));
      window.suite.toast(told.error || told.title || box.dataset.failed, "bad");
    } catch (e) { window.suite.toast(box.dataset.failed, "bad"); }
    box.removeAttribute("aria-busy");
  }
  if (box) {
    const picker = document.createElement("input");
    picker.type = "file"; picker.multiple = true; picker.hidden = true;
    picker.addEventListener("change", () => { if (picker.files.length) send(Array.from(picker.files)); });
    box.append(picker);
    const choose = $("[data-pick-files]", box);
    if (choose) choose.addEventListener("click", (e) => { e.preventDefault(); picker.click(); });
    document.addEventListener("dragover", (e) => { if (e.dataTransfer && Array.from(e.dataTransfer.types).includes("Files")) { e.preventDefault(); box.classList.add("dropping"); } });
    document.addEventListener("dragleave", (e) => { if (!e.relatedTarget) box.classList.remove("dropping"); });
    document.addEventListener("drop", (e) => { if (e.dataTransfer && e.dataTransfer.files.length) { e.preventDefault(); box.classList.remove("dropping"); send(Array.from(e.dataTransfer.files)); } });
    document.addEventListener("paste", (e) => {
      const files = Array.from((e.clipboardData || {}).files || []);
      if (files.length && !(dialog && dialog.open)) { e.preventDefault(); send(files); }
    });
  }

  // --- @mentions
  const area = $("[data-mention]"), list = $("[data-mentions]");
  if (area && list) {
    const people = Array.from(list.children);
    let here = 0;
    const typed = () => (area.value.slice(0, area.selectionStart).match(/(?:^|\s|[^\w.])@([\w.\-\u4e00-\u9fff]{0,20})$/) || [])[1];
    const shown = () => people.filter((p) => !p.hidden);
    function mark() { people.forEach((p) => p.classList.remove("at")); const now = shown()[here]; if (now) now.classList.add("at"); }
    function show() {
      const part = typed();
      list.hidden = part === undefined;
      if (list.hidden) return;
      people.forEach((p) => { p.hidden = !p.textContent.toLowerCase().includes(part.toLowerCase()); });
      here = 0; list.hidden = !shown().length; mark();
    }
    function take(person) {
      const end = area.selectionStart, start = area.value.lastIndexOf("@", end - 1);
      area.setRangeText("@" + person.dataset.name + " ", start, end, "end");
      list.hidden = true; area.focus();
    }
    area.addEventListener("input", show);
    area.addEventListener("keydown", (e) => {
      if ((e.ctrlKey || e.metaKey) && e.key === "Enter") { area.form.requestSubmit(); return; }
      if (list.hidden) return;
      if (e.key === "ArrowDown" || e.key === "ArrowUp") { e.preventDefault(); here = (here + (e.key === "ArrowDown" ? 1 : -1) + shown().length) % shown().length; mark(); }
      else if (e.key === "Enter" || e.key === "Tab") { e.preventDefault(); if (shown()[here]) take(shown()[here]); }
      else if (e.key === "Escape") list.hidden = true;
    });
    list.addEventListener("mousedown", (e) => { const li = e.target.closest("li"); if (li) { e.preventDefault(); take(li); } });
  }
})();
