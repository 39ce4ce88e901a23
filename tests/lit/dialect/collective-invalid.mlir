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

// -----

func.func @f() {
  // expected-error@+1 {{units and group must be positive, not 0 and 1}}
  %b, %e = heddle.share 0
  return
}

// -----

func.func @f() {
  // expected-error@+1 {{units and group must be positive, not 4 and 0}}
  %b, %e = heddle.share 4 group 0
  return
}

// -----

// expected-error@+1 {{units of a shard must have features, not 0}}
func.func private @f(tensor<?x64xf32, #heddle.shard<columns, 0>>)
