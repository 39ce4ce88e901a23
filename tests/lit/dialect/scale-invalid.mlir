// RUN: heddle-opt %s -split-input-file -verify-diagnostics

func.func @zero(%x: tensor<?x32xf32>) -> tensor<?x32xf32> {
  // expected-error@+1 {{attribute 'by' failed to satisfy constraint: 32-bit float attribute above 0 and finite}}
  %0 = heddle.scale %x by 0.0 : (tensor<?x32xf32>) -> tensor<?x32xf32>
  return %0 : tensor<?x32xf32>
}

// -----

func.func @other_features(%x: tensor<?x32xf32>) -> tensor<?x64xf32> {
  // expected-error@+1 {{result must be 'tensor<?x32xf32>' like its operand, not 'tensor<?x64xf32>'}}
  %0 = heddle.scale %x by 0.5 : (tensor<?x32xf32>) -> tensor<?x64xf32>
  return %0 : tensor<?x64xf32>
}

// -----

func.func @gated(%x: tensor<?x32xf32>, %g: tensor<32x32xf16>, %u: tensor<32x32xf16>) -> tensor<?x32xf32> {
  // expected-error@+1 {{with a scale must have one result and no gate}}
  %0 = heddle.linear %x weights(%g, %u) gate silu scale 0.5 : (tensor<?x32xf32>, tensor<32x32xf16>, tensor<32x32xf16>) -> tensor<?x32xf32>
  return %0 : tensor<?x32xf32>
}
