// Packs the input of crop_jobs_cuda for a frame in host memory into one block, uploaded in one
// copy: a FaceJob per face, then the pixels of each plane that the faces read.
#pragma once

#include <cstddef>

#include "cuda_launch.h"

namespace faceaffect {

// Fills `block`, uploaded to address `device`, with `slots` jobs; the last job is repeated if there
// are fewer faces (count >= 1). Returns the number of bytes needed and writes nothing if that
// exceeds `capacity`. `is_on_device`: the kernel can read the frame in place, so only the jobs are
// written.
size_t pack_upload(const FrameView& frame, const float* crop_to_frame, int count, int slots,
                   int size_px, bool is_on_device, uint8_t* block, uintptr_t device,
                   size_t capacity);

}  // namespace faceaffect
