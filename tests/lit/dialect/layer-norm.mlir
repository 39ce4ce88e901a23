// RUN: heddle-opt %s -split-input-file -verify-diagnostics | FileCheck %s

// CHECK-LABEL: func.func @tensors
//       CHECK: heddle.layer_norm %{{.*}}, %{{.*}} eps 9.99{{.*}}E-6 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
//       CHECK: heddle.layer_norm %{{.*}}, %{{.*}} bias(%{{.*}}) eps {{.*}} : (tensor<?x64xf32>, tensor<64xf32>, tensor<64xf32>) -> tensor<?x64x!heddle.q8>
func.func @tensors(%x: tensor<?x64xf32>, %w: tensor<64xf32>) -> tensor<?x64x!heddle.q8> {
  %0 = heddle.layer_norm %x, %w eps 1.0e-5 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %1 = heddle.layer_norm %0, %w bias(%w) eps 1.0e-5 : (tensor<?x64xf32>, tensor<64xf32>, tensor<64xf32>) -> tensor<?x64x!heddle.q8>
  return %1 : tensor<?x64x!heddle.q8>
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: tensor<32xf32>) {
  // expected-error@+1 {{weight has 32 elements; rows have 64 features}}
  %y = heddle.layer_norm %x, %w eps 1.0e-5 : (tensor<?x64xf32>, tensor<32xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: tensor<64xf32>, %b: tensor<48xf32>) {
  // expected-error@+1 {{bias has 48 elements; rows have 64 features}}
  %y = heddle.layer_norm %x, %w bias(%b) eps 1.0e-5 : (tensor<?x64xf32>, tensor<64xf32>, tensor<48xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32, #heddle.shard<columns, 16>>, %w: tensor<64xf32>) {
  // expected-error@+1 {{gather it first}}
  %y = heddle.layer_norm %x, %w eps 1.0e-5 : (tensor<?x64xf32, #heddle.shard<columns, 16>>, tensor<64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: tensor<64xf32>) {
  // expected-error@+1 {{input and result differ in features}}
  %y = heddle.layer_norm %x, %w eps 1.0e-5 : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x32xf32>
  return
}
