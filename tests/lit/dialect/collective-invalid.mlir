// RUN: heddle-opt %s -split-input-file -verify-diagnostics

func.func @f(%x: tensor<?x64xf32>) {
  // expected-error@+1 {{operand is whole already: its type has no #heddle.shard}}
  %y = heddle.all_gather %x : (tensor<?x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32, #heddle.shard<heads, 16>>) {
  // expected-error@+1 {{result must be the operand's type without its #heddle.shard}}
  %y = heddle.all_gather %x : (tensor<?x64xf32, #heddle.shard<heads, 16>>) -> tensor<?x32xf32>
  return
}

// -----

func.func @f(%x: memref<?x64xf32>) {
  // expected-error@+1 {{on a buffer needs ranks, shard and columns}}
  heddle.all_gather %x : (memref<?x64xf32>) -> ()
  return
}
