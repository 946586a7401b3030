const data = JSON.parse(document.getElementById("data").textContent);
const [reference, first, second, at, done] = ["reference", "first", "second", "at", "done"].map(
  (id) => document.getElementById(id));
const answers = [];
const keys = { a: "A", b: "B", s: "same" };
function show() {
  const pair = data.pairs[answers.length];
  for (const player of [reference, first, second]) player.pause();
  document.getElementById("pair").hidden = !pair;
  document.getElementById("back").disabled = !answers.length;
  done.hidden = Boolean(pair);
  at.textContent = pair ? `Pair ${answers.length + 1} of ${data.pairs.length}` : "";
  if (!pair) return;
  reference.parentElement.hidden = pair[3] === null;
  if (pair[3] !== null) reference.src = data.sounds[pair[3]];
  first.src = data.sounds[pair[4]];
  second.src = data.sounds[pair[5]];
}
function answer(word) {
  if (answers.length < data.pairs.length) answers.push(word);
  show();
}
function back() {
  answers.pop();
  show();
}
function play(player) {
  for (const other of [reference, first, second]) if (other !== player) other.pause();
  player.currentTime = 0;
  player.play();
}
function save() {
  const cell = (text) => '"' + String(text).replaceAll('"', '""') + '"';
  const rows = answers.map((word, number) => [...data.pairs[number].slice(0, 3), word]);
  const text = [data.head, ...rows].map((row) => row.map(cell).join(",")).join("\n") + "\n";
  const link = document.createElement("a");
  link.href = "data:text/csv;charset=utf-8," + encodeURIComponent(text);
  link.download = "ear_test.csv";
  link.click();
}
for (const button of document.querySelectorAll("button[value]"))
  button.addEventListener("click", () => answer(button.value));
document.getElementById("back").addEventListener("click", back);
document.getElementById("save").addEventListener("click", save);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.toLowerCase();
  if (keys[key]) answer(keys[key]);
  else if (key === "backspace") back();
  else if (key === "0") play(reference);
  else if (key === "1") play(first);
  else if (key === "2") play(second);
});
show();
