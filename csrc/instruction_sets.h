// The CPU kernels, compiled once per instruction set, and runtime dispatch between them.
#pragma once

#include "au_gcn.h"
#include "crop_face.h"
#include "workspace.h"

// Declares the kernels of each instruction set in a namespace of its own.
#define FACEAFFECT_DECLARE_KERNELS(isa)                                             \
  namespace isa {                                                                   \
  void crop_face_cpu(const FrameView& frame, const float* crop_to_frame, int count, \
                     const CropParams& params, float* out, Workspace& workspace);   \
  void normalize_cpu(const uint8_t* pixels, int64_t count, int64_t plane_px,        \
                     const NormalizeParams& params, float* out);                    \
  void au_gcn_cpu(const float* nodes, int64_t count, const GraphShape& shape,       \
                  const float* weights, float* out, Workspace& workspace);          \
  }

namespace faceaffect {

FACEAFFECT_DECLARE_KERNELS(baseline)
FACEAFFECT_DECLARE_KERNELS(avx2)
FACEAFFECT_DECLARE_KERNELS(avx512)
FACEAFFECT_DECLARE_KERNELS(neon)

struct InstructionSet {
  const char* name;
  bool usable;  // by this processor and operating system
  decltype(&baseline::crop_face_cpu) crop_face;
  decltype(&baseline::normalize_cpu) normalize;
  decltype(&baseline::au_gcn_cpu) au_gcn;
};

// The compiled instruction sets, best last.
const InstructionSet* instruction_sets(int* count);

}  // namespace faceaffect
