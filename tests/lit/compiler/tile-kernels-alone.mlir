// RUN: heddle-opt %s -split-input-file -verify-diagnostics -heddle-tile-kernels
// Without heddle-outline-kernels before it, the pass would leave out barriers and gathers.

func.func @f(%n: memref<64xf32> {heddle.name = "n"}, %x: memref<?x64xf32> {heddle.name = "x"}) {
  // expected-error@+1 {{has no function of its own: run heddle-outline-kernels first}}
  heddle.rms_norm %x, %n eps 1.0e-5 outs(%x) : (memref<?x64xf32>, memref<64xf32>, memref<?x64xf32>) -> ()
  heddle.rms_norm %x, %n eps 1.0e-5 outs(%x) : (memref<?x64xf32>, memref<64xf32>, memref<?x64xf32>) -> ()
  return
}

// -----

func.func @f(%x: memref<?x64xf32> {heddle.name = "x"}) {
  // expected-error@+1 {{has no function of its own: run heddle-outline-kernels first}}
  heddle.all_gather %x shard <columns, 16> {columns = 64 : i64} : (memref<?x64xf32>) -> ()
  return
}

// -----

func.func @f(%n: tensor<64xf32>, %x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  // expected-error@+1 {{has no function of its own: run heddle-outline-kernels first}}
  %0 = heddle.rms_norm %x, %n eps 1.0e-5 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %1 = heddle.rms_norm %0, %n eps 1.0e-5 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  return %1 : tensor<?x64xf32>
}

// -----

func.func @f(%n: tensor<64xf32>, %x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  // expected-error@+1 {{stands on tensors: stage planned has buffers}}
  %0 = heddle.rms_norm %x, %n eps 1.0e-5 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  return %0 : tensor<?x64xf32>
}
