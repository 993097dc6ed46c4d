// The CPU kernels, built once per instruction set, and which of them this processor runs.
#pragma once

#include "au_gcn.h"
#include "crop_face.h"
#include "scratch.h"

// The kernels as each instruction set has them, in a namespace of its own.
#define FACEAFFECT_DECLARE_KERNELS(isa)                                                                        \
  namespace isa {                                                                                              \
  void crop_face_cpu(const FrameView& frame, const float* estimate_crop_to_frame, int count, const CropParams& params,  \
                     float* out, Scratch& scratch);                                                            \
  void normalize_cpu(const uint8_t* pixels, int64_t count, int64_t plane_px, const NormalizeParams& params,    \
                     float* out);                                                                              \
  void au_gcn_cpu(const float* nodes, int64_t count, const GraphShape& shape, const float* weights, float* out, \
                    Scratch& scratch);                                                                         \
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

// Those compiled in, best last.
const InstructionSet* instruction_sets(int* count);

}  // namespace faceaffect
