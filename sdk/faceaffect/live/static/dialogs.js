// The dialogs: record, save, and the token.
import { FaceAffect } from "./client.js";

const byId = (id) => document.getElementById(id);

// Opens a dialog; resolves to the value of the button that closed it.
function ask(id) {
  const dialog = byId(id);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue), { once: true }));
}

// Asks how to record; resolves to null, or to whether video is wanted.
export async function askRecording() {
  byId("record-video").checked = false;
  return (await ask("record-dialog")) === "start" ? byId("record-video").checked : null;
}

// Offers the files of a recording until the dialog is closed.
export async function offerFiles(files) {
  const addresses = files.map(([, , blob]) => URL.createObjectURL(blob));
  byId("save-text").textContent = "Save what you need: closing this deletes the recording.";
  byId("save-links").replaceChildren(...files.map(([name, what], index) => {
    const item = document.createElement("li"), link = document.createElement("a"), note = document.createElement("span");
    Object.assign(link, { href: addresses[index], download: name, textContent: name });
    note.textContent = what;
    link.append(note);
    item.append(link);
    return item;
  }));
  byId("save-dialog").oncancel = (event) => event.preventDefault(); // Escape must not lose it
  await ask("save-dialog");
  addresses.forEach((address) => URL.revokeObjectURL(address));
}

// Returns the model; asks for the token as long as the server refuses, #token= in the address first.
export async function logIn() {
  let token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
  if (token) history.replaceState(null, "", location.pathname);
  for (;;) {
    try {
      const client = new FaceAffect(location.origin, token);
      if (token) await client.login();
      return await new FaceAffect().model();
    } catch (error) {
      if (error.status !== 401) throw error;
      byId("token-error").textContent = token ? "That is not the token." : "";
      await ask("token-dialog");
      token = byId("token").value.trim();
      byId("token").value = "";
    }
  }
}
