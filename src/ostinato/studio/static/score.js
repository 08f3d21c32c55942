// Draws a piece as a score from the server's MusicXML (OpenSheetMusicDisplay).

let library = null; // loaded with the first score: it is the page's largest file

function load() {
  library ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = "/static/vendor/opensheetmusicdisplay.min.js";
    script.onload = resolve; script.onerror = () => reject(new Error("the score library could not be loaded"));
    document.head.append(script);
  });
  return library;
}

export async function score(place, musicxml) {
  await load();
  const { OpenSheetMusicDisplay } = window.opensheetmusicdisplay;
  place.replaceChildren();
  const drawn = new OpenSheetMusicDisplay(place, { autoResize: false, drawTitle: false, drawComposer: false, drawMetronomeMarks: false });
  drawn.zoom = 0.7;
  await drawn.load(musicxml);
  drawn.render();
}
