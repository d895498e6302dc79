// Runs before the first paint, so that a folded menu does not jump.
try { if (localStorage.getItem("folded") === "1") document.documentElement.classList.add("folded"); } catch (e) { /* private mode */ }
