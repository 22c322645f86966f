import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { provenance } from "./build/provenance";
import { mockApi } from "./mock/api";

const root = fileURLToPath(new URL(".", import.meta.url));
const upstream = process.env.GRIDMARGIN_URL;

export default defineConfig({
  root,
  base: "./",
  plugins: [react(), provenance(root), ...(upstream ? [] : [mockApi()])],
  server: upstream ? { proxy: { "/v1": upstream } } : {},
  build: {
    outDir: "../src/gridmargin/interfaces/dashboard/assets",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
  },
  test: { include: ["test/**/*.test.ts"] },
});
