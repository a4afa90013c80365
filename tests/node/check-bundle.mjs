// Evaluates a bundle by onnxruntime-node, which shares no code with FunLik, and compares with the bundle's own test vectors.
//
//     node tests/node/check-bundle.mjs BUNDLE
//
// Prints {"version", "points", "largest", "values"} on one line, where `largest` is the largest difference relative to max(1, |y|), null
// where a value is no number. Ends with 1 where it is more than 1e-6.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const tolerance = 1e-6;
const ort = createRequire(new URL('../../npm/package.json', import.meta.url))('onnxruntime-node');

/** The shape and the doubles of an .npy file that FunLik writes: little-endian float64, row-major. */
function readNpy(path) {
  const bytes = readFileSync(path);
  const [lengthBytes, start] = bytes[6] === 1 ? [2, 10] : [4, 12];
  const headerLength = bytes.readUIntLE(8, lengthBytes);
  const header = bytes.toString('latin1', start, start + headerLength);
  const shape = header.match(/'shape': \(([^)]*)\)/)[1].split(',').filter(part => part.trim() !== '').map(Number);

  if (!header.includes("'<f8'") || !header.includes("'fortran_order': False")) {
    throw new Error(`${path}: not doubles in rows: ${header}`);
  }

  const data = bytes.subarray(start + headerLength);
  const count = shape.reduce((product, size) => product * size, 1);

  if (data.length !== 8 * count) {
    throw new Error(`${path}: ${data.length} bytes for ${count} doubles`);
  }

  return { shape, values: Float64Array.from({ length: count }, (_, i) => data.readDoubleLE(8 * i)) };
}

const bundle = process.argv[2];
const points = readNpy(join(bundle, 'points.npy'));
const expected = readNpy(join(bundle, 'values.npy'));
const session = await ort.InferenceSession.create(join(bundle, 'model.onnx'));
const outputs = await session.run({ theta: new ort.Tensor('float64', points.values, points.shape) });
const values = Array.from(outputs.logDensity.data);

if (values.length !== expected.values.length) {
  throw new Error(`${values.length} values for ${expected.values.length} test vectors`);
}

const differences = values.map((y, i) => Math.abs(y - expected.values[i]) / Math.max(1, Math.abs(expected.values[i])));
const largest = differences.some(Number.isNaN) ? NaN : Math.max(...differences);
console.log(JSON.stringify({ version: ort.env.versions.node, points: values.length, largest, values }));
process.exitCode = largest <= tolerance ? 0 : 1;
