//===- DescribeKernel.h - what an op on buffers must read and compute, for profiles ----------------------------------===//
#pragma once
#include "ir/dialect/Dialect.h"

namespace heddle {

/// The op's function and role, the weights it reads and the multiply-adds that it takes (ir/dialect/Dialect.td, KernelAttr).
ir::KernelAttr describeKernel(ir::ComputeOp op);

} // namespace heddle
