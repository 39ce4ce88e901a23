// RUN: heddle-opt %s -split-input-file -verify-diagnostics -heddle-plan-memory | FileCheck %s

// Rows take 256 bytes a token. %a is read until %c is made, so %b stands behind it; %c, whose residual %a dies in it, takes %a's place.
// %d reads %c as input too, so it cannot: it goes where %b was. %e updates the block's input in place.
//       CHECK: heddle.arena_bytes_per_token = 512
// CHECK-LABEL: func.func private @block(%arg0: memref<?x64xf32>
//       CHECK: memref.dim
//  CHECK-NEXT: %[[AT_A:.*]] = arith.constant 0 : index
//  CHECK-NEXT: arith.muli %{{.*}}, %[[AT_A]]
//       CHECK: %[[A:.*]] = memref.view
//       CHECK: heddle.linear %arg0 {{.*}} outs(%[[A]])
//       CHECK: %[[AT_B:.*]] = arith.constant 256 : index
//  CHECK-NEXT: arith.muli %{{.*}}, %[[AT_B]]
//       CHECK: %[[B:.*]] = memref.view
//       CHECK: heddle.linear %[[A]] {{.*}} outs(%[[B]])
//   CHECK-NOT: memref.view
//       CHECK: heddle.linear %[[B]] {{.*}} residual(%[[A]]) outs(%[[A]])
//       CHECK: %[[AT_D:.*]] = arith.constant 256 : index
//  CHECK-NEXT: arith.muli %{{.*}}, %[[AT_D]]
//       CHECK: %[[D:.*]] = memref.view
//       CHECK: heddle.linear %[[A]] {{.*}} residual(%[[A]]) outs(%[[D]])
//   CHECK-NOT: memref.view
//       CHECK: heddle.linear %[[D]] {{.*}} residual(%arg0) outs(%arg0)
func.func private @block(%x: tensor<?x64xf32> {heddle.name = "x"}, %w: tensor<64x64xf32> {heddle.name = "w"}) -> tensor<?x64xf32> {
  %a = heddle.linear %x weights(%w) : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %b = heddle.linear %a weights(%w) : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %c = heddle.linear %b weights(%w) residual(%a) : (tensor<?x64xf32>, tensor<64x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  %d = heddle.linear %c weights(%w) residual(%c) : (tensor<?x64xf32>, tensor<64x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  %e = heddle.linear %d weights(%w) residual(%x) : (tensor<?x64xf32>, tensor<64x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %e : tensor<?x64xf32>
}

// -----

// expected-error@+1 {{argument 0 of block has no heddle.name}}
func.func private @block(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  return %x : tensor<?x64xf32>
}

// -----

func.func private @block(%x: tensor<?x64xf32> {heddle.name = "x"}, %w: tensor<64x64xf32> {heddle.name = "w"}) -> tensor<?x64xf32> {
  %a = heddle.linear %x weights(%w) : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  // expected-error@+1 {{must update its first argument in place}}
  return %a : tensor<?x64xf32>
}

// -----

func.func private @block(%x: tensor<?x64xf32> {heddle.name = "x"}) -> tensor<?x64xf32> {
  // expected-error@+1 {{only step may call blocks}}
  %y = call @block(%x) : (tensor<?x64xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

heddle.weight @n : tensor<64xf16>
heddle.weight @t : tensor<64x64xf32>
func.func @step(%ids: tensor<?xi32> {heddle.name = "ids"}, %rows: tensor<?xi32> {heddle.name = "rows"}) -> tensor<?x64xf32> {
  %t = heddle.get @t : tensor<64x64xf32>
  %x = heddle.embed %ids, %t : (tensor<?xi32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %s = heddle.select_rows %x, %rows : (tensor<?x64xf32>, tensor<?xi32>) -> tensor<?x64xf32>
  // expected-error@+1 {{vector weights must be f32, not f16}}
  %n = heddle.get @n : tensor<64xf16>
  %y = heddle.rms_norm %s, %n eps 1.0e-5 : (tensor<?x64xf32>, tensor<64xf16>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
