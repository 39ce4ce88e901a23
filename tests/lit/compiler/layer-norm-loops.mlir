// RUN: heddle-opt %s -heddle-tile-kernels | FileCheck %s --check-prefix=TILE
// RUN: heddle-opt %s -heddle-tile-kernels -heddle-lower-tiles | FileCheck %s --check-prefix=LOWER

// A tile a token; it reads the row three times, for the mean, for what is apart from it, and to write.
// TILE-LABEL: func.func private @layer_norm
//       TILE: scf.for
//       TILE: heddle.tile_layer_norm %{{.*}}, %{{.*}} bias(%{{.*}}) -> %{{.*}}[%{{.*}}] eps
// LOWER-LABEL: func.func private @layer_norm
// LOWER-COUNT-4: scf.for
//   LOWER-NOT: heddle.tile_layer_norm
func.func private @layer_norm(%x: memref<?x64xf32>, %n: memref<64xf32>, %y: memref<?x64xf32>) {
  heddle.layer_norm %x, %n bias(%n) eps 1.0e-5 outs(%y) : (memref<?x64xf32>, memref<64xf32>, memref<64xf32>, memref<?x64xf32>) -> ()
  return
}
