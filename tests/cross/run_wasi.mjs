// SPDX-License-Identifier: Apache-2.0
// Runs a WASI program in Node as if it were a program of this machine: `node run_wasi.mjs PROGRAM.wasm ARGS...`.
// The environment, the file system and the exit code pass through. Paths have to be absolute: this libc takes two
// preopened folders for one, so "/" is the only one and stands for the current folder too.
import { readFile } from "node:fs/promises";
import { WASI } from "node:wasi";

const [program, ...args] = process.argv.slice(2);
const wasi = new WASI({
  version: "preview1",
  args: [program, ...args],
  env: process.env,
  preopens: { "/": "/" },
  returnOnExit: true,
});
const module = await WebAssembly.compile(await readFile(program));
const instance = await WebAssembly.instantiate(module, wasi.getImportObject());
process.exitCode = wasi.start(instance);
