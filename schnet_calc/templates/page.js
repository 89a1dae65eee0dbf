"use strict";
(() => {
  const molecule = JSON.parse(document.getElementById("molecule").textContent);
  const atoms = molecule.symbols.map((symbol, k) => {
    const [x, y, z] = molecule.positions[k];
    return { symbol, x, y, z };
  });
  const lines = atoms.map((a) => `${a.symbol} ${a.x} ${a.y} ${a.z}`);
  const xyz = `${atoms.length}\n\n${lines.join("\n")}\n`;
  const dark = matchMedia("(prefers-color-scheme: dark)");

  function viewerIn(id) {
    const place = document.getElementById(id);
    if (!place) return null;
    const live = place.closest(".live");
    live.hidden = false; // before the viewer measures it
    try {
      const viewer = $3Dmol.createViewer(place, { backgroundAlpha: 0, antialias: true });
      if (!viewer) throw new Error("no WebGL");
      viewer.setBackgroundColor("white", 0);
      return viewer;
    } catch (error) {
      live.hidden = true; // the still picture stays
      return null;
    }
  }

  const structure = viewerIn("structure");
  if (structure) {
    structure.addModel(xyz, "xyz");
    structure.setStyle({}, { sphere: { scale: 0.22 } });
    const labels = [];
    const box = document.getElementById("labels");
    const draw = () => {
      structure.removeAllShapes();
      labels.splice(0).forEach((label) => structure.removeLabel(label));
      for (const { pair, color, label } of molecule.bonds) {
        const [start, end] = pair.map((k) => atoms[k]);
        structure.addCylinder({ start, end, radius: 0.11, color, fromCap: 1, toCap: 1 });
        if (!box.checked) continue;
        const position = { x: (start.x + end.x) / 2, y: (start.y + end.y) / 2, z: (start.z + end.z) / 2 };
        const fontColor = dark.matches ? "white" : "black";
        const backgroundColor = dark.matches ? "black" : "white";
        labels.push(structure.addLabel(label, { position, fontSize: 11, fontColor, backgroundColor, backgroundOpacity: 0.6 }));
      }
      structure.render();
    };
    box.addEventListener("change", draw);
    dark.addEventListener("change", draw);
    structure.zoomTo();
    structure.zoom(1.6);
    structure.rotate(20, "y");
    structure.rotate(15, "x");
    draw();
    document.querySelector(".still").style.display = "none";
  }

  const vibration = viewerIn("vibration");
  if (!vibration) return;
  const style = { stick: { radius: 0.1 }, sphere: { scale: 0.22 } };
  const buttons = [...document.querySelectorAll("button[data-mode]")];
  const now = document.getElementById("now");
  const fresh = () => {
    vibration.stopAnimate();
    vibration.removeAllModels();
    const model = vibration.addModel(xyz, "xyz");
    model.setStyle({}, style);
    return model;
  };
  fresh();
  vibration.zoomTo();
  vibration.zoom(1.5);
  vibration.rotate(20, "y");
  vibration.rotate(15, "x");
  vibration.render();

  function show(mode) {
    const same = buttons[mode].getAttribute("aria-pressed") === "true";
    buttons.forEach((b) => b.setAttribute("aria-pressed", "false"));
    const model = fresh();
    document.body.dataset.mode = same ? "" : String(mode);
    if (same) {
      now.textContent = "Choose a mode.";
      vibration.render();
      return;
    }
    buttons[mode].setAttribute("aria-pressed", "true");
    model.selectedAtoms({}).forEach((atom, k) => {
      [atom.dx, atom.dy, atom.dz] = molecule.modes[mode][k];
    });
    model.vibrate(24, 1, true);
    vibration.animate({ loop: "backAndForth", interval: 25 });
    now.textContent = `Mode ${mode + 1} of ${buttons.length}, ${buttons[mode].textContent} cm⁻¹; once more to stop.`;
  }

  buttons.forEach((button) => button.addEventListener("click", () => show(Number(button.dataset.mode))));
  document.querySelectorAll('[id^="stick-"]').forEach((stick) => {
    stick.addEventListener("click", () => {
      show(Number(stick.id.slice("stick-".length)));
      document.getElementById("vibration").scrollIntoView({ block: "center", behavior: "smooth" });
    });
  });
})();
