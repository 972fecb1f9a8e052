// Molecules that turn under the pointer, on a canvas: spheres and bonds, the far ones first.
(function () {
  const COLORS = { H: "#d9dde2", C: "#4a4f57", N: "#3560c9", O: "#d0352b", F: "#4fae4a",
    P: "#e08a1e", S: "#d9b824", Cl: "#2f9e44", Br: "#9b3b22", I: "#7a3aa0" };
  const SIZES = { H: 0.28, C: 0.42, N: 0.42, O: 0.42, F: 0.4 };
  document.querySelectorAll(".molecule-view").forEach(function (box) {
    const all = JSON.parse(box.querySelector("script").textContent);
    const canvas = box.querySelector("canvas"), label = box.querySelector(".which");
    const pen = canvas.getContext("2d");
    let at = 0, turn = [0.4, -0.5], from = null;

    function placed(p) {
      const [a, b] = turn, ca = Math.cos(a), sa = Math.sin(a), cb = Math.cos(b), sb = Math.sin(b);
      const x = ca * p[0] + sa * p[2], z = ca * p[2] - sa * p[0];
      return [x, cb * p[1] - sb * z, sb * p[1] + cb * z];
    }

    function draw() {
      const shown = all[at], ratio = window.devicePixelRatio || 1;
      const w = canvas.clientWidth, h = canvas.clientHeight;
      canvas.width = w * ratio; canvas.height = h * ratio;
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      pen.clearRect(0, 0, w, h);
      const reach = Math.max(1.5, ...shown.xyz.map((p) => Math.hypot(...p))) + 0.5;
      const scale = Math.min(w, h) / 2 / reach;
      const at3 = shown.xyz.map(placed);
      const parts = at3.map((p, k) => ({ z: p[2], atom: k }));
      shown.bonds.forEach(([i, j, n]) => parts.push({ z: (at3[i][2] + at3[j][2]) / 2 - 0.2,
        bond: [i, j, n] }));
      parts.sort((a, b) => a.z - b.z).forEach(function (part) {
        if (part.bond) {
          const [i, j, n] = part.bond, a = at3[i], b = at3[j];
          const dx = b[0] - a[0], dy = b[1] - a[1], long = Math.hypot(dx, dy) || 1;
          pen.strokeStyle = "#8b929c"; pen.lineWidth = Math.max(1.5, (n > 1 ? 0.07 : 0.12) * scale);
          for (let k = 0; k < n; k++) {
            const off = (k - (n - 1) / 2) * 0.17, ox = -dy / long * off, oy = dx / long * off;
            pen.beginPath();
            pen.moveTo(w / 2 + (a[0] + ox) * scale, h / 2 - (a[1] + oy) * scale);
            pen.lineTo(w / 2 + (b[0] + ox) * scale, h / 2 - (b[1] + oy) * scale);
            pen.stroke();
          }
          return;
        }
        const p = at3[part.atom], symbol = shown.symbols[part.atom];
        const x = w / 2 + p[0] * scale, y = h / 2 - p[1] * scale, r = (SIZES[symbol] || 0.5) * scale;
        const shade = pen.createRadialGradient(x - r / 3, y - r / 3, r / 8, x, y, r);
        shade.addColorStop(0, "#ffffff"); shade.addColorStop(0.35, COLORS[symbol] || "#c05a9a");
        shade.addColorStop(1, COLORS[symbol] || "#c05a9a");
        pen.beginPath(); pen.arc(x, y, r, 0, 2 * Math.PI);
        pen.fillStyle = shade; pen.fill(); pen.lineWidth = 1; pen.strokeStyle = "#0006"; pen.stroke();
      });
      label.textContent = shown.title + " (" + (at + 1) + " of " + all.length + ")";
    }

    function step(n) { at = (at + n + all.length) % all.length; draw(); }
    box.querySelector(".before").onclick = () => step(-1);
    box.querySelector(".after").onclick = () => step(1);
    canvas.onpointerdown = (e) => { from = [e.clientX, e.clientY]; canvas.setPointerCapture(e.pointerId); };
    canvas.onpointerup = () => { from = null; };
    canvas.onpointermove = function (e) {
      if (!from) return;
      turn = [turn[0] + (e.clientX - from[0]) / 100, turn[1] + (e.clientY - from[1]) / 100];
      from = [e.clientX, e.clientY];
      draw();
    };
    window.addEventListener("resize", draw);
    draw();
  });
})();
