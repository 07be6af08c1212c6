package noise

// Rand draws n uniform numbers in [0, 1): torch.rand.
func (g *Generator) Rand(n int) []float32 {
	u := make([]float32, n)
	g.fill(u)
	return u
}
