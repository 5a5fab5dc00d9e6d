// To look around in a panorama, as chapter 13 does it (gan_course/data/views.py). In degrees: yaw turns to the right,
// where 0 is the north, the middle column; pitch goes up; the field of view goes from edge to edge.
const RADIAN = Math.PI / 180, TURN = 5, DIRECTIONS = ["north", "east", "south", "west"];

// Where on the map, [column, row] from -1 to 1, a place of the square view lies, `across` and `down` from -1 to 1.
function camera({ yaw, pitch, field }) {
  const edge = Math.tan(field * RADIAN / 2);
  const [cosTilt, sinTilt] = [Math.cos(pitch * RADIAN), Math.sin(pitch * RADIAN)];
  const [cosTurn, sinTurn] = [Math.cos(yaw * RADIAN), Math.sin(yaw * RADIAN)];
  return (across, down) => {
    const right = across * edge, ahead = cosTilt + down * edge * sinTilt, up = sinTilt - down * edge * cosTilt;
    const east = right * cosTurn + ahead * sinTurn, north = ahead * cosTurn - right * sinTurn;
    const elevation = Math.atan2(up, Math.sqrt(east * east + north * north));
    return [Math.atan2(east, north) / Math.PI, -2 * elevation / Math.PI];
  };
}

// What a camera in the middle of a panorama [3 · rows · 2 rows] sees: [3 · size · size]. Between the pixels it is
// bilinear, across the left and right edge and over the poles, too.
export function perspective(panorama, angles, size) {
  const rows = Math.sqrt(panorama.length / 6), columns = 2 * rows, view = new Float32Array(3 * size * size);
  const onMap = camera(angles);
  const pixel = (row, column) => {
    if (row < 0 || row >= rows) [row, column] = [Math.min(Math.max(row, 0), rows - 1), column + rows];
    return row * columns + (column + columns) % columns;
  };
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const [azimuth, height] = onMap((2 * x + 1) / size - 1, (2 * y + 1) / size - 1);
      const column = (azimuth + 1) * rows - 0.5, row = (height + 1) * rows / 2 - 0.5;
      const left = Math.floor(column), top = Math.floor(row), across = column - left, down = row - top;
      const corners = [pixel(top, left), pixel(top, left + 1), pixel(top + 1, left), pixel(top + 1, left + 1)];
      const shares = [(1 - down) * (1 - across), (1 - down) * across, down * (1 - across), down * across];
      for (let colour = 0; colour < 3; colour++) {
        const plane = colour * rows * columns;
        let sum = 0;
        for (let corner = 0; corner < 4; corner++) sum += shares[corner] * panorama[plane + corners[corner]];
        view[(colour * size + y) * size + x] = sum;
      }
    }
  }
  return view;
}

// Points on the edge of the view, as places on the map from -1 to 1: [[column, row], …].
export function outline(angles, points = 48) {
  const onMap = camera(angles), line = Array.from({ length: points }, (_, place) => 2 * place / points - 1);
  return line.flatMap((along) => [onMap(along, -1), onMap(1, along), onMap(-along, 1), onMap(-1, -along)]);
}

export function heading(yaw) {
  return DIRECTIONS[(Math.round(yaw / 90) + 4) % 4];
}

// Lets the reader turn by dragging the canvas, by its keys and by the sliders yaw, pitch and field, which are set to
// where that leads; then calls `moved`. Returns the angles, finer than the sliders' steps.
export function lookAround(canvas, sliders, moved) {
  const names = ["yaw", "pitch", "field"];
  const angles = Object.fromEntries(names.map((name) => [name, Number(sliders[name].value)]));
  function face(wanted) {
    for (const name of names) {
      const { min, max } = sliders[name];
      const value = name === "yaw" ? ((wanted.yaw + 180) % 360 + 360) % 360 - 180 : wanted[name];
      angles[name] = Math.min(Math.max(value, Number(min)), Number(max));
      sliders[name].value = angles[name];
    }
    moved();
  }
  for (const name of names) {
    sliders[name].addEventListener("input", () => { angles[name] = Number(sliders[name].value); moved(); });
  }
  let last;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    last = event;
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    const degrees = angles.field / canvas.clientHeight; // of a pixel: the place stays under the finger
    const [right, down] = [event.clientX - last.clientX, event.clientY - last.clientY];
    last = event;
    face({ ...angles, yaw: angles.yaw - right * degrees, pitch: angles.pitch + down * degrees });
  });
  const keys = {
    ArrowLeft: { yaw: -TURN }, ArrowRight: { yaw: TURN }, ArrowUp: { pitch: TURN }, ArrowDown: { pitch: -TURN },
    "+": { field: -TURN }, "=": { field: -TURN }, "-": { field: TURN },
  };
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    event.stopPropagation(); // elsewhere on the site, an arrow leads to the next page
    const [[name, step]] = Object.entries(keys[event.key]);
    face({ ...angles, [name]: angles[name] + step });
  });
  return angles;
}
