package gameday

// AlertLabels are the labels that the expected alert is known to have.
func (p *Plan) AlertLabels() map[string]string {
	set := map[string]string{}
	if p.Expect.Alert == nil {
		return set
	}
	expected, err := condition(p.Expect.Alert.Matchers...)
	if err != nil {
		return set
	}
	for name, values := range expected.Demands() {
		if len(values) > 0 {
			set[name] = values[0]
		}
	}
	return set
}
