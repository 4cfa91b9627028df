const made = document.getElementById("age");
if (made) {
  const hours = Math.floor((Date.now() - Date.parse(made.dataset.made)) / 3600000);
  if (hours >= Number(made.dataset.hours)) {
    made.textContent = `This page was made ${hours} hours ago, and tells nothing of now.`;
    made.hidden = false;
  }
}
const filter = document.getElementById("filter");
if (filter) {
  const rows = [...document.querySelectorAll("#connector-rows tr")];
  const matches = document.getElementById("matches");
  filter.parentElement.hidden = false;
  filter.addEventListener("input", () => {
    const wanted = filter.value.trim().toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    matches.textContent = wanted && `${rows.filter((row) => !row.hidden).length} of ${rows.length}`;
  });
}
