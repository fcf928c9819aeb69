// What a page cannot do without a script: it shows times in the reader's zone and filters while the reader types.
for (const time of document.querySelectorAll('time')) {
  const date = new Date(time.dateTime);
  date.setMinutes(date.getMinutes() - date.getTimezoneOffset());
  time.textContent = date.toISOString().slice(0, -8).replace('T', ' ');
}
document.querySelector('thead small')?.remove();

const filter = document.querySelector('input[type=search]');
const status = document.querySelector('[role=status]');
const summary = status.textContent;
const hint = 'more' in status.dataset ? ' · Enter searches all names' : '';
const rows = [...document.querySelectorAll('tbody tr:not(.u)')];
const names = rows.map((row) => row.cells[0].textContent.toLowerCase());
filter.addEventListener('input', () => {
  const text = filter.value.toLowerCase();
  let shown = 0;
  rows.forEach((row, i) => {
    row.hidden = !names[i].includes(text);
    shown += !row.hidden;
  });
  status.textContent = text ? `${shown} of ${rows.length} shown${hint}` : summary;
});
