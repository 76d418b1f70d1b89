extension ModuleRegistry {
  /// Every class that implements types of modules.
  static let families: [Family] = layers + models + metrics

  /// A new layer is added here.
  private static let layers: [Family] = [
    Family(Sequential.self), Family(ModuleContainer.self), Family(Linear.self), Family(Bilinear.self),
    Family(Identity.self), Family(Activation.self), Family(PReLU.self), Family(Dropout.self), Family(Flatten.self),
    Family(Unflatten.self), Family(Convolution.self), Family(TransposedConvolution.self),
    Family(BatchNorm.self), Family(InstanceNorm.self), Family(SampleNormalization.self), Family(Pooling.self),
    Family(MaxUnpooling.self), Family(Distance.self), Family(Loss.self), Family(Padding.self),
    Family(Embedding.self), Family(EmbeddingBag.self), Family(Shuffle.self), Family(Upsample.self),
    Family(PatchLayer.self), Family(FractionalPooling.self),
  ]
}
