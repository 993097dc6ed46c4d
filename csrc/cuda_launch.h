// The CUDA twins: every pointer inside is device memory, `stream` a cudaStream_t. They return once the work is queued.
#pragma once

#include "au_graph.h"
#include "crop_face.h"

namespace faceaffect {

void crop_face_cuda(const FrameView& frame, const float* crop_to_frame, int count, const CropParams& params, float* out,
                    void* stream);
void normalise_cuda(const uint8_t* pixels, int64_t count, int64_t plane_px, const NormaliseParams& params, float* out,
                    void* stream);
void au_graph_cuda(const float* nodes, int64_t count, const GraphShape& shape, const float* weights, float* out,
                   void* stream);

}  // namespace faceaffect
