// Shows a file of checks.progress() in the table of tasks. It is kept in this browser alone.
(function () {
  const KEY = "gan_course progress", table = document.getElementById("tasks");
  const says = document.getElementById("progress-says"), forget = document.getElementById("progress-delete");
  const file = document.getElementById("progress-file");

  // Lines of "chapter, task, passed": none of the three holds a comma or a quotation mark.
  function read(text) {
    const lines = text.trim().split(/\r?\n/).map((line) => line.split(","));
    if (lines[0].join() !== "chapter,task,passed") return null;
    return Object.fromEntries(lines.slice(1).map(([, task, passed]) => [task, passed || ""]));
  }

  function show(passed) {
    let done = 0;
    const rows = [...table.querySelectorAll("tbody tr")];
    for (const row of rows) {
      const when = passed[row.dataset.task] || "";
      row.lastElementChild.textContent = when || "–";
      done += /^\d{4}-/.test(when);
    }
    forget.disabled = Object.keys(passed).length === 0;
    says.textContent = forget.disabled
      ? "Forgotten. Your own file is as it was; checks.progress().delete() removes what the notebooks keep."
      : `${done} of ${rows.length} tasks passed. This stays in this browser until you press “forget it”.`;
  }

  function keep(text) {  // a browser may keep nothing for pages that are files
    try { text === null ? localStorage.removeItem(KEY) : localStorage.setItem(KEY, text); } catch { /* shown anyway */ }
  }

  file.addEventListener("change", async () => {
    if (!file.files.length) return;
    const text = await file.files[0].text(), passed = read(text);
    if (!passed) {
      says.textContent = `${file.files[0].name} is no file of checks.progress().export(…): its first line has to be chapter,task,passed.`;
      return;
    }
    keep(text);
    show(passed);
  });
  forget.addEventListener("click", () => { keep(null); file.value = ""; show({}); });
  let kept = null;
  try { kept = localStorage.getItem(KEY); } catch { /* nothing is kept */ }
  if (kept && read(kept)) show(read(kept));
})();
