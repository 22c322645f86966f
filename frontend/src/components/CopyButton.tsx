import { useState } from "react";

export function CopyButton({ text }: { text: string }) {
  const [said, setSaid] = useState("Copy JSON");
  const copy = () => {
    const done = navigator.clipboard?.writeText(text) ?? Promise.reject(new Error("no clipboard"));
    done.then(() => setSaid("Copied"), () => setSaid("Copying is not allowed here"));
  };
  return <button type="button" onClick={copy} aria-live="polite">{said}</button>;
}
