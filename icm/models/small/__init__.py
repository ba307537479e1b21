"""The bundled model: few-shot guidance, its network, presence, and the detail refiner."""
