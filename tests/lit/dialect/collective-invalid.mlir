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
  // expected-error@+1 {{on a buffer needs shard and columns}}
  heddle.all_gather %x : (memref<?x64xf32>) -> ()
  return
}

// -----

func.func @f() {
  // expected-error@+1 {{attribute 'units' failed to satisfy constraint: 64-bit signless integer attribute whose value is positive}}
  %b, %e = heddle.share 0
  return
}

// -----

func.func @f() {
  // expected-error@+1 {{attribute 'group' failed to satisfy constraint: 64-bit signless integer attribute whose value is positive}}
  %b, %e = heddle.share 4 group 0
  return
}

// -----

// expected-error@+1 {{units of a shard must have features, not 0}}
func.func private @f(tensor<?x64xf32, #heddle.shard<columns, 0>>)

// -----

func.func @f() {
  // expected-error@+1 {{cannot share as many as 2147483647 units}}
  %b, %e = heddle.share 2147483647
  return
}

// -----

func.func @f(%x: memref<?x64xf32>) {
  // expected-error@+1 {{gathers 65 columns of 64}}
  heddle.all_gather %x shard <columns, 16> {columns = 65 : i64} : (memref<?x64xf32>) -> ()
  return
}

// -----

func.func @f(%x: memref<?x64x!heddle.q8>) {
  // expected-error@+1 {{a q8 buffer needs units of whole blocks of 32 features}}
  heddle.all_gather %x shard <columns, 16> {columns = 64 : i64} : (memref<?x64x!heddle.q8>) -> ()
  return
}

// -----

// expected-error@+1 {{only kv_heads have a group, and a positive one}}
func.func private @f(tensor<?x64xf32, #heddle.shard<heads, 16, group 2>>)
