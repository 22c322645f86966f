// Says which sources the assets were built from, and under which licences their parts come.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join, relative, sep } from "node:path";
import type { Plugin } from "vite";

const SOURCES = ["build", "index.html", "package-lock.json", "package.json", "public", "src", "tsconfig.json", "vite.config.ts"];

function filesUnder(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path).flatMap((name) => filesUnder(join(path, name)));
}

/** SHA-256 over name, NUL, content, NUL of every source file in order of name. */
export function sourcesSha256(root: string): { sha256: string; files: number } {
  const named = SOURCES.flatMap((name) => filesUnder(join(root, name)))
    .map((path) => [relative(root, path).split(sep).join("/"), path] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const hash = createHash("sha256");
  for (const [name, path] of named) hash.update(name).update("\0").update(readFileSync(path)).update("\0");
  return { sha256: hash.digest("hex"), files: named.length };
}

function packageOf(id: string): string | null {
  const parts = id.replaceAll("\\", "/").split("/node_modules/");
  const tail = parts.length > 1 ? parts.at(-1)! : null;
  if (tail === null) return null;
  const names = tail.split("/");
  return tail.startsWith("@") ? names.slice(0, 2).join("/") : names[0]!;
}

function licenceOf(root: string, name: string): string {
  const folder = join(root, "node_modules", name);
  const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = ["LICENSE", "LICENSE.md", "LICENSE.txt"].map((n) => join(folder, n)).find(existsSync);
  if (!file) throw new Error(`${name} is bundled and ships no licence text; find it before shipping the page`);
  return `${name} ${about.version} (${about.license})\n\n${readFileSync(file, "utf8").trim()}\n`;
}

export function provenance(root: string): Plugin {
  return {
    name: "gridmargin-provenance",
    apply: "build",
    generateBundle(_options, bundle) {
      const names = new Set<string>();
      for (const id of this.getModuleIds()) {
        const name = packageOf(id.split("?")[0]!.replace(/^\0/, ""));
        if (name && !["vite"].includes(name)) names.add(name);
      }
      const rule = "-".repeat(80);
      const texts = [...names].sort().map((name) => licenceOf(root, name));
      const emit = (fileName: string, source: string) => this.emitFile({ type: "asset", fileName, source });
      emit("THIRD_PARTY.txt", `The page bundles these libraries.\n\n${texts.join(`\n${rule}\n\n`)}`);
      const built = Object.keys(bundle).sort();
      emit("build.json", `${JSON.stringify({ sources: sourcesSha256(root), built }, null, 2)}\n`);
    },
  };
}
