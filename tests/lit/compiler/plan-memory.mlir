// RUN: heddle-opt %s -split-input-file -verify-diagnostics -heddle-plan-memory | FileCheck %s

// Rows take 256 bytes a token. %a is read until %c is made, so %b stands behind it; %c, whose residual %a dies in it, takes %a's place.
// %d reads %c as input too, so it cannot: it goes where %b was. %e updates the block's input in place.
//       CHECK: heddle.arena_bytes_per_token = 512
// CHECK-LABEL: func.func private @block(%arg0: memref<?x64xf32>
//       CHECK: %[[A:.*]] = heddle.buffer 0 rows(%{{.*}}) : memref<?x64xf32>
//       CHECK: heddle.linear %arg0 {{.*}} outs(%[[A]])
//       CHECK: %[[B:.*]] = heddle.buffer 256
//       CHECK: heddle.linear %[[A]] {{.*}} outs(%[[B]])
//   CHECK-NOT: heddle.buffer
//       CHECK: heddle.linear %[[B]] {{.*}} residual(%[[A]]) outs(%[[A]])
//       CHECK: %[[D:.*]] = heddle.buffer 256
//       CHECK: heddle.linear %[[A]] {{.*}} residual(%[[A]]) outs(%[[D]])
//   CHECK-NOT: heddle.buffer
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

// The input of a call that updates it is read again afterwards: the call gets a copy.
// CHECK-LABEL: func.func @step
//       CHECK:   heddle.embed {{.*}} outs(%[[X:[a-z0-9]*]])
//       CHECK:   heddle.copy %[[X]] outs(%[[Y:[a-z0-9]*]])
//       CHECK:   call @block(%[[Y]]) : (memref<?x64xf32>) -> ()
//       CHECK:   heddle.add %[[X]], %[[Y]] outs(
heddle.weight @t : tensor<64x64xf32>
func.func private @block(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %y = heddle.activate silu %x : (tensor<?x64xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
func.func @step() -> tensor<?x64xf32> {
  %ids = heddle.batch ids : tensor<?xi32>
  %t = heddle.get @t : tensor<64x64xf32>
  %x = heddle.embed %ids, %t : (tensor<?xi32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %y = call @block(%x) : (tensor<?x64xf32>) -> tensor<?x64xf32>
  %z = heddle.add %x, %y : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %z : tensor<?x64xf32>
}

// -----

// The same value passed twice: the argument that is written gets a copy.
// CHECK-LABEL: func.func @step
//       CHECK:   heddle.embed {{.*}} outs(%[[X:[a-z0-9]*]])
//       CHECK:   heddle.copy %[[X]] outs(%[[Y:[a-z0-9]*]])
//       CHECK:   call @block(%[[Y]], %[[X]])
heddle.weight @t : tensor<64x64xf32>
func.func private @block(%x: tensor<?x64xf32>, %s: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %a = heddle.activate silu %x : (tensor<?x64xf32>) -> tensor<?x64xf32>
  %y = heddle.add %a, %s : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
func.func @step() -> tensor<?x64xf32> {
  %ids = heddle.batch ids : tensor<?xi32>
  %t = heddle.get @t : tensor<64x64xf32>
  %x = heddle.embed %ids, %t : (tensor<?xi32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %y = call @block(%x, %x) : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

// Two results: one is the updated argument, one a further argument. An argument that is returned as it is, is copied.
// CHECK-LABEL: func.func private @two(%arg0: memref<?x64xf32>, %arg1: memref<?x64xf32> {heddle.name = "result0"}, %arg2: memref<?x64xf32> {heddle.name = "result1"})
//       CHECK:   heddle.activate silu %arg0 outs(%arg1)
//       CHECK:   heddle.copy %arg0 outs(%arg2)
func.func private @two(%x: tensor<?x64xf32>) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  %a = heddle.activate silu %x : (tensor<?x64xf32>) -> tensor<?x64xf32>
  return %a, %x : tensor<?x64xf32>, tensor<?x64xf32>
}

// -----

// An entry that returns a value twice fills both of the caller's buffers.
// CHECK-LABEL: func.func @step
//       CHECK:   %[[FIRST:.*]] = heddle.output 0
//       CHECK:   heddle.embed {{.*}} outs(%[[FIRST]])
//       CHECK:   %[[SECOND:.*]] = heddle.output 1
//       CHECK:   heddle.copy %[[FIRST]] outs(%[[SECOND]])
heddle.weight @t : tensor<64x64xf32>
func.func @step() -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  %ids = heddle.batch ids : tensor<?xi32>
  %t = heddle.get @t : tensor<64x64xf32>
  %x = heddle.embed %ids, %t : (tensor<?xi32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  return %x, %x : tensor<?x64xf32>, tensor<?x64xf32>
}

// -----

// A q8 result has other rows than the f32 residual that dies there: they share no place.
// CHECK-LABEL: func.func private @other_type
//       CHECK:   %[[A:.*]] = heddle.buffer 0 rows(%{{.*}}) : memref<?x64xf32>
//       CHECK:   heddle.activate silu %arg0 outs(%[[A]])
//       CHECK:   heddle.rms_norm %arg0, {{.*}} residual(%[[A]]) outs(%arg2) : {{.*}} memref<?x64x!heddle.q8>) -> ()
func.func private @other_type(%x: tensor<?x64xf32>, %n: tensor<64xf32>) -> tensor<?x64x!heddle.q8> {
  %a = heddle.activate silu %x : (tensor<?x64xf32>) -> tensor<?x64xf32>
  %q = heddle.rms_norm %x, %n eps 1.0e-5 residual(%a) : (tensor<?x64xf32>, tensor<64xf32>, tensor<?x64xf32>) -> tensor<?x64x!heddle.q8>
  return %q : tensor<?x64x!heddle.q8>
}

// -----

// A block's own rows stand behind those of all that call it, whose calls may be nested.
// CHECK-LABEL: func.func private @inner
//       CHECK:   heddle.buffer 256
// CHECK-LABEL: func.func private @outer
//       CHECK:   heddle.buffer 0
// CHECK-LABEL: func.func @step
//       CHECK:   %[[Y:.*]] = heddle.output 0
//       CHECK:   call @inner(%[[Y]])
//       CHECK:   call @outer(%[[Y]])
heddle.weight @t : tensor<64x64xf32>
func.func private @inner(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %a = heddle.mul %x, %x : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  %b = heddle.add %x, %a : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @outer(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %a = heddle.mul %x, %x : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  %b = call @inner(%a) : (tensor<?x64xf32>) -> tensor<?x64xf32>
  %c = heddle.add %x, %b : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %c : tensor<?x64xf32>
}
func.func @step() -> tensor<?x64xf32> {
  %ids = heddle.batch ids : tensor<?xi32>
  %t = heddle.get @t : tensor<64x64xf32>
  %x = heddle.embed %ids, %t : (tensor<?xi32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %a = call @inner(%x) : (tensor<?x64xf32>) -> tensor<?x64xf32>
  %b = call @outer(%a) : (tensor<?x64xf32>) -> tensor<?x64xf32>
  %c = heddle.activate silu %b : (tensor<?x64xf32>) -> tensor<?x64xf32>
  return %c : tensor<?x64xf32>
}

// -----

// expected-error@+1 {{function block calls itself}}
func.func private @block(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %y = call @block(%x) : (tensor<?x64xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

heddle.weight @t : tensor<64x64xf32>
func.func @other() -> tensor<?x64xf32> {
  %ids = heddle.batch ids : tensor<?xi32>
  %t = heddle.get @t : tensor<64x64xf32>
  %x = heddle.embed %ids, %t : (tensor<?xi32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  return %x : tensor<?x64xf32>
}
func.func @step() -> tensor<?x64xf32> {
  // expected-error@+1 {{calls the entry other: only blocks, which are private, can be called}}
  %y = call @other() : () -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

// expected-error@+1 {{entry step must have no arguments: what a step is given comes from heddle.batch}}
func.func @step(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  return %x : tensor<?x64xf32>
}
