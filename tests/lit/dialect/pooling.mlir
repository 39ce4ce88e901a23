// RUN: heddle-opt %s -split-input-file -verify-diagnostics | FileCheck %s

// CHECK-LABEL: func.func @tensors
//       CHECK: heddle.batch first : tensor<?xi32>
//       CHECK: heddle.batch last : tensor<?xi32>
//       CHECK: heddle.batch types : tensor<?xi32>
//       CHECK: heddle.mean_rows %{{.*}} from %{{.*}} to %{{.*}} : (tensor<?x64xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x64xf32>
//       CHECK: heddle.normalize %{{.*}} eps 9.99{{.*}}E-13 : (tensor<?x64xf32>) -> tensor<?x64xf32>
func.func @tensors(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %f = heddle.batch first : tensor<?xi32>
  %l = heddle.batch last : tensor<?xi32>
  %t = heddle.batch types : tensor<?xi32>
  %m = heddle.mean_rows %x from %f to %l : (tensor<?x64xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x64xf32>
  %y = heddle.normalize %m eps 1.0e-12 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

func.func @f(%x: tensor<?x64xf32>) {
  %f = heddle.batch first : tensor<?xi32>
  // expected-error@+1 {{goes from the batch's first to its last tokens of each sequence}}
  %m = heddle.mean_rows %x from %f to %f : (tensor<?x64xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32, #heddle.shard<columns, 16>>, %f: tensor<?xi32>) {
  // expected-error@+1 {{gather it first}}
  %m = heddle.mean_rows %x from %f to %f : (tensor<?x64xf32, #heddle.shard<columns, 16>>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x40xf32>) {
  // expected-error@+1 {{has rows of 40 features; only multiples of 16 are supported}}
  %y = heddle.normalize %x eps 1.0e-12 : (tensor<?x40xf32>) -> tensor<?x40xf32>
  return
}
