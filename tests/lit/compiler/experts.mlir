// RUN: heddle-opt %s -heddle-to-fused | FileCheck %s --check-prefix=FUSED
// RUN: heddle-opt %s -heddle-to-fused -heddle-to-sharded | FileCheck %s --check-prefix=SHARDED
// RUN: heddle-opt %s -heddle-to-fused -heddle-to-sharded -heddle-to-planned | FileCheck %s --check-prefix=PLANNED
// RUN: heddle-opt %s -heddle-to-fused -heddle-to-sharded -heddle-to-planned -heddle-to-kernels | FileCheck %s --check-prefix=KERNELS

// A mixture of experts: gate and up of each chosen expert become one product, its rows are quantised as they are stored, and the
// residual joins the sum. The router takes f32, the experts what is quantised of the same rows.
//   FUSED: %[[W:.*]]:2 = heddle.choose_experts %{{.*}} choices 2 of 4
//   FUSED: %[[M:.*]] = heddle.linear %{{.*}} weights(%{{.*}}, %{{.*}}) experts(%[[W]]#1) gate silu : {{.*}} -> tensor<?x64x!heddle.q8>
//   FUSED: %[[D:.*]] = heddle.linear %[[M]] weights(%{{.*}}) experts(%[[W]]#1) {by_choice}
//   FUSED: heddle.sum_experts %[[D]] weights(%[[W]]#0) choices 2 residual(%{{.*}})

// Each expert is cut by its rows, as any product: what is requantised by 32, the rest by 16.
// SHARDED: heddle.weight @gate : tensor<4x64x32x!heddle.quant<q4_0>> share <columns, 32>
// SHARDED: heddle.weight @down : tensor<4x32x64x!heddle.quant<q4_0>> share <columns, 16>
// SHARDED: heddle.share 2
// SHARDED: heddle.linear {{.*}} -> tensor<?x64x!heddle.q8, #heddle.shard<columns, 32>>

// Two rows of 64 q8 a token take 160 bytes, in whole lines 192.
// PLANNED: %[[TWO:.*]] = arith.constant 2
// PLANNED: %[[ROWS:.*]] = arith.muli %{{.*}}, %[[TWO]]
// PLANNED: heddle.buffer {{[0-9]*}} rows(%{{.*}}) : memref<?x2xi32>
// PLANNED: heddle.buffer {{[0-9]*}} rows(%[[ROWS]]) : memref<?x64x!heddle.q8>

// Each thread sorts the choices, then goes through the experts' own lists.
// KERNELS-LABEL: func.func private @gated_linear_2_of_4_q4_0_128x32
// KERNELS: memref.alloca() {{.*}} memref<8192xi32>
// KERNELS: heddle.tile_product {{.*}} through(
heddle.weight @table : tensor<64x32xf32>
heddle.weight @norm : tensor<32xf32>
heddle.weight @router : tensor<4x32xf32>
heddle.weight @gate : tensor<4x64x32x!heddle.quant<q4_0>>
heddle.weight @up : tensor<4x64x32x!heddle.quant<q4_0>>
heddle.weight @down : tensor<4x32x64x!heddle.quant<q4_0>>
func.func @step() -> tensor<?x32xf32> {
  %ids = heddle.batch ids : tensor<?xi32>
  %table = heddle.get @table : tensor<64x32xf32>
  %x = heddle.embed %ids, %table : (tensor<?xi32>, tensor<64x32xf32>) -> tensor<?x32xf32>
  %norm = heddle.get @norm : tensor<32xf32>
  %h = heddle.rms_norm %x, %norm eps 1.0e-5 : (tensor<?x32xf32>, tensor<32xf32>) -> tensor<?x32xf32>
  %router = heddle.get @router : tensor<4x32xf32>
  %scores = heddle.linear %h weights(%router) : (tensor<?x32xf32>, tensor<4x32xf32>) -> tensor<?x4xf32>
  %weights, %experts = heddle.choose_experts %scores choices 2 of 4 : (tensor<?x4xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  %wg = heddle.get @gate : tensor<4x64x32x!heddle.quant<q4_0>>
  %wu = heddle.get @up : tensor<4x64x32x!heddle.quant<q4_0>>
  %wd = heddle.get @down : tensor<4x32x64x!heddle.quant<q4_0>>
  %g = heddle.linear %h weights(%wg) experts(%experts) : (tensor<?x32xf32>, tensor<4x64x32x!heddle.quant<q4_0>>, tensor<?x2xi32>) -> tensor<?x64xf32>
  %a = heddle.activate silu %g : (tensor<?x64xf32>) -> tensor<?x64xf32>
  %u = heddle.linear %h weights(%wu) experts(%experts) : (tensor<?x32xf32>, tensor<4x64x32x!heddle.quant<q4_0>>, tensor<?x2xi32>) -> tensor<?x64xf32>
  %m = heddle.mul %a, %u : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  %d = heddle.linear %m weights(%wd) experts(%experts) {by_choice} : (tensor<?x64xf32>, tensor<4x32x64x!heddle.quant<q4_0>>, tensor<?x2xi32>) -> tensor<?x32xf32>
  %s = heddle.sum_experts %d weights(%weights) choices 2 : (tensor<?x32xf32>, tensor<?x2xf32>) -> tensor<?x32xf32>
  %y = heddle.add %x, %s : (tensor<?x32xf32>, tensor<?x32xf32>) -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}
