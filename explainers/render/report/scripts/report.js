// What the page holds. A widget of a notebook has no page of its own: there `report` is given (notebook.py).

export const report = JSON.parse(document.getElementById("data").textContent);
document.getElementById("data").remove();
