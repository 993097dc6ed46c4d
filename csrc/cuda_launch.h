// The CUDA twins. Every pointer inside is memory that the device reads: device memory, or pinned host memory for pixels.
// `stream` is a cudaStream_t; all return once the work is queued. `type` says what `out` (and, for the graph, nodes and
// weights) hold.
#pragma once

#include "au_gcn.h"
#include "crop_face.h"
#include "half.h"

namespace faceaffect {

// One face of a frame that was staged (stage_crops.h): the same work as crop_face, told by memory instead of arguments,
// so that a captured graph replays with other frames.
struct FaceJob {
  FrameView frame;
  LevelMap map;
};

void crop_face_cuda(const FrameView& frame, const float* estimate_crop_to_frame, int count, const CropParams& params, void* out,
                    Element type, void* stream);
void crop_jobs_cuda(const FaceJob* jobs, int count, const CropParams& params, void* out, Element type, void* stream);
void normalize_cuda(const uint8_t* pixels, int64_t count, int64_t plane_px, const NormalizeParams& params, void* out,
                    Element type, void* stream);
// out float32 [N, 12] whatever the type of nodes and weights
void au_gcn_cuda(const void* nodes, int64_t count, const GraphShape& shape, const void* weights, float* out,
                   Element type, void* stream);
// out float32 [N, 3, 12, 12] of crops [N, 3, S, S]: portrait_grid.h
void portrait_grid_cuda(const void* crops, int64_t count, int size_px, float* out, Element type, void* stream);

}  // namespace faceaffect
