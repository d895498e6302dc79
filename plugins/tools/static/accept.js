// One box ticks the whole list; without scripts the server reads it so, too.
(function () {
  "use strict";
  document.querySelectorAll("[data-ticks]").forEach((list) => {
    const all = list.querySelector("[data-tick-all]"), each = Array.from(list.querySelectorAll("[data-tick]"));
    all.addEventListener("change", () => each.forEach((one) => { one.checked = all.checked; }));
    list.addEventListener("change", () => { all.checked = each.every((one) => one.checked); });
  });
})();
