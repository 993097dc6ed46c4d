// Lays out, in one block that travels to the GPU in one copy, what crop_jobs_cuda needs of a frame in host memory: a
// FaceJob per face, then of each plane only the pixels that the faces read.
#pragma once

#include <cstddef>

#include "cuda_launch.h"

namespace faceaffect {

// Fills `block`, which will lie at address `device` when the kernel runs, with `slots` jobs, the last repeated where
// there are fewer faces (count >= 1). Returns the bytes needed; where they are more than `capacity` it wrote nothing.
// `is_on_device`: the kernel can read the frame where it is, so that only the jobs are written.
size_t stage_crops(const FrameView& frame, const float* estimate_crop_to_frame, int count, int slots, int size_px,
                   bool is_on_device, uint8_t* block, uintptr_t device, size_t capacity);

}  // namespace faceaffect
