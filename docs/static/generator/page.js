// The buttons that start the sections of the page. What a section does stands in the module that its button names.
(function () {
  const folder = new URL(".", document.currentScript.src);
  for (const button of document.querySelectorAll("button[data-section]")) {
    const says = document.getElementById(`${button.dataset.section}-says`);
    button.addEventListener("click", async () => {
      button.disabled = true;
      says.textContent = "Loading …";
      try {
        const { start } = await import(new URL(`${button.dataset.section}.js`, folder));
        await start((text) => { says.textContent = text; });
        button.hidden = true;
      } catch (error) {
        button.disabled = false;
        says.textContent = location.protocol === "file:"
          ? "This page has to come from a server: run python -m http.server in the site's folder, and open its address."
          : `It could not be loaded (${error.message}). Try again, or another browser.`;
      }
    });
  }
})();
